"""The wire API: headgate server beside mlflow server --workers 1

One driver, both servers at once, each on a database of the same kind, their samples in turns. The client costs next to
nothing (:mod:`tests.bench.wire.http_client`) and sends what mlflow's own sends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.wire.reading import measure_a_million, measure_history, measure_searches
from tests.bench.wire.servers import Place, headgate_server, make_ready, mlflow_server, places
from tests.bench.wire.standing import measure_memory, measure_start_up, wait_for_rest
from tests.bench.wire.writing import measure_writing

DATABASES = ("sqlite", "postgresql")
ROWS = ("start", "memory", "write", "history", "search")


def measure(
    repeats: int, databases: Sequence[str] = DATABASES, rows: Sequence[str] = ROWS, *, million: bool = True
) -> list[Figure]:
    """Measure on each kind of database.

    Args:
        databases: of ``DATABASES``.
        rows: of ``ROWS``.
        million: also search among a million runs, which take one or two minutes to be loaded.
    """
    figures: list[Figure] = []
    for kind in databases:
        with tempfile.TemporaryDirectory() as folder, places(kind, Path(folder)) as place:
            of_kind = _measure(place, repeats, rows, million=million and "search" in rows)
        figures.extend(replace(figure, name=f"{kind}: {figure.name}") for figure in of_kind)
    return figures


def _measure(place: Place, repeats: int, rows: Sequence[str], *, million: bool) -> list[Figure]:
    figures: list[Figure] = []
    make_ready(place.headgate, place.folder)
    if "start" in rows:
        figures += measure_start_up(place, repeats)
    with headgate_server(place.headgate, place.folder) as headgate:
        with mlflow_server(place.mlflow, place.folder) as mlflow:
            wait_for_rest(mlflow)
            if "write" in rows:
                figures += measure_writing(headgate, mlflow, repeats)
            if "history" in rows:
                figures += measure_history(headgate.url, mlflow.url, repeats)
            if "memory" in rows:
                figures += measure_memory(headgate, mlflow)
            if "search" in rows:
                figures += measure_searches(place, headgate.url, mlflow.url, repeats)
        if million:
            figures += measure_a_million(place, headgate.url, repeats)
    return figures
