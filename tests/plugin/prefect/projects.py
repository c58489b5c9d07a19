"""Projects and models that tests of Prefect's tasks share."""

from __future__ import annotations

import uuid
from pathlib import Path

from headgate.store.clock import now_ms
from headgate.store.entities import LoggedModelStatus, Metric, RunContext
from headgate.store.store import Store

GATE = {
    "name": "screening",
    "when_no_champion": "pass",
    "checks": {"all_of": [{"metric": "f1", "at_least": 0.5}, {"metric": "f1", "improves_on": "champion"}]},
}
MLPROJECT = """\
name: echo
entry_points:
  main:
    parameters: {word: {type: str, default: hello}}
    command: "echo said {word}; echo ran >> {counted}"
  fails:
    command: "echo it goes wrong >&2; echo ran >> {counted}; exit 3"
"""


def echo_project(folder: Path) -> Path:
    """Write a project whose entry points say something and leave a line in ``ran`` beside it."""
    project = folder / "project"
    project.mkdir()
    (project / "MLproject").write_text(MLPROJECT.replace("{counted}", str(folder / "ran")))
    return project


def times_run(project: Path) -> int:
    ran = project.parent / "ran"
    return len(ran.read_text().splitlines()) if ran.exists() else 0


def new_name(what: str = "screening") -> str:
    """Return a name of a test's own, for a model or a flow: all tests of a process have one Prefect."""
    return f"{what}-{uuid.uuid4().hex[:8]}"


def measured(store: Store, f1: float, *, date: int | None = None) -> str:
    """Return a model that a run of a logical date made, with its figure on the holdout set."""
    run = store.runs.open("0", context=RunContext(logical_date=date))
    model = store.logged_models.create("0", source_run_id=run.info.run_id, now=now_ms())
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=now_ms())
    point = Metric("f1", f1, now_ms(), run_id=run.info.run_id, dataset_name="holdout", dataset_digest="feed1234")
    store.logged_models.log_metrics(model.model_id, [point])
    return model.model_id
