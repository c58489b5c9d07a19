"""Each row's result, as an artifact of the run that evaluated: ``evaluation/rows.csv.gz``."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

from headgate.store.errors import NotFound
from headgate.tasks.evaluators.evaluator import Evaluator
from headgate.tasks.evaluators.figures import Predicted, row_figures
from headgate.tasks.evaluators.libraries import library

if TYPE_CHECKING:
    from headgate.store.store import Store

ROWS_PATH = "evaluation/rows.csv.gz"


def rows_csv(evaluator: Evaluator, table: Any, predicted: Predicted) -> bytes:
    """Return the rows as compressed CSV: number, truth, prediction, own figures, and the columns of the slices."""
    pandas = library("pandas")
    columns: dict[str, Any] = {"row": range(len(predicted)), "target": predicted.target}
    columns["prediction"] = predicted.prediction
    columns |= {} if predicted.score is None else {"score": predicted.score}
    columns |= {} if predicted.group is None else {"group": predicted.group}
    columns |= row_figures(evaluator, predicted)
    columns |= {f"slice:{name}": table[name].to_numpy() for name in evaluator.slices}
    text = pandas.DataFrame(columns).to_csv(index=False)
    return gzip.compress(text.encode(), mtime=0)  # the same rows are the same bytes


def read_rows(store: Store, run_id: str) -> Any:
    """Return the rows that a run kept, as a DataFrame; None when it kept none."""
    artifacts = store.artifacts(store.runs.get_info(run_id).artifact_uri)
    try:
        with artifacts.open(ROWS_PATH) as file:
            content = file.read()
    except NotFound:
        return None
    return library("pandas").read_csv(io.BytesIO(gzip.decompress(content)))
