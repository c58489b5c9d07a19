from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

from headgate.store import open_store
from headgate.store.entities import Run
from headgate.store.settings import Settings
from headgate.store.store import Store

MakeProject = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = Settings(home=tmp_path / "home", lease_seconds=60, grace_seconds=1)
    with open_store(f"sqlite:///{tmp_path}/store/headgate.db", settings=settings) as opened:
        yield opened


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    """Make a project from the entry points of its MLproject file; with none, a folder of files."""

    def make(entry_points: str = "", **files: str) -> Path:
        directory = tmp_path / "project"
        directory.mkdir(exist_ok=True)
        if entry_points:
            body = indent(dedent(entry_points).strip("\n"), "  ")
            (directory / "MLproject").write_text(f"name: screening\nentry_points:\n{body}\n")
        for name, content in files.items():
            (directory / name.replace("__", ".")).write_text(dedent(content).lstrip())
        return directory

    return make


def output_of(store: Store, run_id: str) -> str:
    """Return what a run has kept of its output."""
    with store.artifacts(store.runs.get_info(run_id).artifact_uri).open("logs/output.txt") as stream:
        return stream.read().decode()


def all_runs(store: Store) -> tuple[Run, ...]:
    """Return every run of a store, the oldest first."""
    experiments = [experiment.experiment_id for experiment in store.experiments.list().items]
    return store.runs.search(experiments, order_by=["start_time"]).items


def only_run(store: Store) -> Run:
    (run,) = all_runs(store)
    return store.runs.get(run.info.run_id)
