"""``docs/pipelines.md`` says of DAGs what the code does."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest

from headgate.airflow import PipelineDag
from tests.plugin.airflow.pipeline.test_parsing import parsed

ROOT = Path(__file__).parents[4]
SECTION = (ROOT / "docs" / "pipelines.md").read_text().partition("## As an Airflow DAG")[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("block", "dag_id", "tasks"),
    [
        (0, "tumor-screening", {"train", "train.choose", "promotion.gate", "pipeline.close"}),
        (1, "nightly", {"export", "retraining.train.choose", "retraining.promotion.promote", "report"}),
    ],
)
def test_the_blocks_are_dags(block: int, dag_id: str, tasks: set[str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "tumor-screening", tmp_path / "tumor-screening")
    bag = parsed(tmp_path, BLOCKS[block])
    assert bag.import_errors == {}
    assert tasks <= set(bag.dags[dag_id].task_dict)


def test_the_arguments_are_those_of_the_class() -> None:
    rows = SECTION.partition("| argument of `PipelineDag` |")[2].partition("\n\n")[0].splitlines()[2:]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    taken = set(inspect.signature(PipelineDag.__init__).parameters) - {"self", "pipeline", "dag_kwargs"}
    assert taken <= told
    assert told - taken == {"catchup", "default_args"}
