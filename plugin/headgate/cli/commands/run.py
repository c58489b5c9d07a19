"""``headgate run``: an entry point of a project, or a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate.cli.documents import pipeline_document, run_document
from headgate.cli.options import ENVIRONMENTS, Instant, KeyValue, Seconds, json_option, refuse_repeated, store_options
from headgate.cli.output import lasting, print_document, print_facts
from headgate.cli.progress import make_progress
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.flows.planned import Plan
    from headgate.store.entities import Run, RunContext, RunInfo
    from headgate.store.store import Store
    from headgate.tasks.run_request import RunRequest


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says, beside the store."""

    project: str
    entry_point: str | None
    parameters: dict[str, str]
    env: str | None
    experiment: str | None
    version: str | None
    run_name: str | None
    timeout: float | None
    logical_date: int | None
    pipeline_run_id: str | None
    max_parallel: int | None
    as_json: bool


@click.command()
@click.argument("project")
@click.option("-e", "--entry-point", metavar="NAME", help="Entry point of the project. Default: main.")
@click.option("-P", "--param", "parameters", type=KeyValue(), multiple=True, help="A parameter. Repeatable.")
@click.option("--env", type=click.Choice(ENVIRONMENTS), help="Where it runs. Default: what the project says.")
@click.option("--experiment", metavar="NAME", help="Experiment of the run; made when it is missing.")
@click.option("--version", metavar="REVISION", help="Branch, tag or commit of a project in git.")
@click.option("--run-name", metavar="NAME", help="Name of the run of an entry point. Default: one is made up.")
@click.option("--timeout", type=Seconds(), help="How long an entry point may take: 90s, 15m, 2h.")
@click.option("--logical-date", type=Instant(), help="What the run stands for in time. UTC unless it says otherwise.")
@click.option("--pipeline-run-id", metavar="ID", help="Names the work: a pipeline of this id goes on where it stopped.")
@click.option("--max-parallel", type=click.IntRange(1), help="How many steps of a pipeline may run side by side.")
@store_options
@json_option
def run(
    project: str,
    entry_point: str | None,
    parameters: tuple[tuple[str, str], ...],
    env: str | None,
    experiment: str | None,
    version: str | None,
    run_name: str | None,
    timeout: float | None,
    logical_date: int | None,
    pipeline_run_id: str | None,
    max_parallel: int | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Run an entry point of a project, or a pipeline.

    PROJECT is a folder, a .zip file, a git URI (with #subdirectory), or a pipeline file. A folder with a pipeline.yaml
    runs as a pipeline unless --entry-point is given. Ctrl-C stops everything that was started and records it as KILLED.
    """
    asked = Asked(
        project,
        entry_point,
        refuse_repeated(parameters),
        env,
        experiment,
        version,
        run_name,
        timeout,
        logical_date,
        pipeline_run_id,
        max_parallel,
        as_json,
    )
    pipeline = _is_pipeline(asked)
    _refuse_misplaced(asked, pipeline=pipeline)
    # What can't be run is refused before anything is made, a store neither.
    if pipeline:
        planned = _plan(asked)
        with open_store(store_url, artifact_root) as store:
            _run_pipeline(store, asked, planned)
    else:
        request = _prepare(asked)
        with open_store(store_url, artifact_root) as store:
            _run_project(store, asked, request)


def _is_pipeline(asked: Asked) -> bool:
    if asked.entry_point is not None or "://" in asked.project:
        return False
    path = Path(asked.project)
    if path.is_dir():
        return any((path / name).is_file() for name in ("pipeline.yaml", "pipeline.yml"))
    return path.suffix in (".yaml", ".yml")


def _refuse_misplaced(asked: Asked, *, pipeline: bool) -> None:
    """Refuse options that mean nothing for what is run: ignored, they would be a surprise."""
    misplaced = (
        {"--version": asked.version, "--run-name": asked.run_name, "--timeout": asked.timeout}
        if pipeline
        else {"--max-parallel": asked.max_parallel}
    )
    for option, value in misplaced.items():
        if value is not None and pipeline:
            raise click.UsageError(f"{option} is said per step, in the pipeline file, not for a whole pipeline.")
        if value is not None:
            raise click.UsageError(f"{option} is for pipelines; {asked.project} runs one entry point.")


def _plan(asked: Asked) -> Plan:
    from headgate.flows.planning import plan

    return plan(
        asked.project,
        asked.parameters,
        logical_date=asked.logical_date,
        env=asked.env,
        experiment=asked.experiment,
    )


def _prepare(asked: Asked) -> RunRequest:
    from headgate.store.settings import read_settings
    from headgate.tasks.run_request import prepare_run

    name = asked.entry_point or "main"
    return prepare_run(
        asked.project,
        name,
        asked.parameters,
        home=read_settings().home.expanduser().absolute(),
        version=asked.version,
        env=asked.env,
        run_name=asked.run_name,
        context=_context(asked, name),
    )


def _run_project(store: Store, asked: Asked, request: RunRequest) -> None:
    from headgate.tasks.run_project import run_prepared

    started: list[RunInfo] = []

    def on_start(info: RunInfo) -> None:
        started.append(info)
        progress.began(request.entry_point.name, f"run {info.run_id} ({info.name})")

    try:
        with make_progress(as_json=asked.as_json) as progress:
            run_prepared(
                request,
                store=store,
                experiment=asked.experiment,
                timeout=asked.timeout,
                on_output=progress.line,
                on_start=on_start,
            )
    finally:
        # However it ended: what was recorded is told; an error is told after it.
        if started:
            _tell_run(store.runs.get(started[-1].run_id), as_json=asked.as_json)


def _context(asked: Asked, entry_point: str) -> RunContext:
    from headgate.store.entities import RunContext

    if asked.pipeline_run_id is None:
        return RunContext(logical_date=asked.logical_date)
    return RunContext(
        pipeline=Path(asked.project).name or Path(asked.project).absolute().name,
        pipeline_run_id=asked.pipeline_run_id,
        task=entry_point,
        logical_date=asked.logical_date,
    )


def _tell_run(run: Run, *, as_json: bool) -> None:
    if as_json:
        print_document({"run": run_document(run)})
        return
    facts = {
        "run": run.info.run_id,
        "status": run.info.status,
        "took": lasting(run.info.start_time, run.info.end_time),
        "artifacts": run.info.artifact_uri,
        **{f"metric {key}": metric.value for key, metric in sorted(run.metrics.items())},
        **{f"model {number}": made.model_id for number, made in enumerate(run.model_outputs, 1)},
    }
    print_facts(facts)


def _run_pipeline(store: Store, asked: Asked, planned: Plan) -> None:
    from headgate.cli.pipeline_events import PipelineTeller, tell_result
    from headgate.flows.run import run_pipeline

    with make_progress(as_json=asked.as_json) as progress:
        result = run_pipeline(
            planned,
            store=store,
            parameters=asked.parameters,
            logical_date=asked.logical_date,
            pipeline_run_id=asked.pipeline_run_id,
            experiment=asked.experiment,
            env=asked.env,
            max_parallel=asked.max_parallel,
            on_event=PipelineTeller(progress),
        )
    if asked.as_json:
        print_document({"pipeline": pipeline_document(result)})
    else:
        tell_result(result, planned)
    result.raise_for_status()
