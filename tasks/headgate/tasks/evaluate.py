"""Measuring a LoggedModel by an entry point of a project, so that gates have figures to decide on.

What an evaluation measures stands on the model, with the run that measured it and the digest of the data. An entry
point of today's MLflow does that itself (``log_metrics(…, model_id=…, dataset=…)``). For one that only logs metrics to
its run, the caller says what the data are, and they are recorded on the model after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from headgate.store.clock import now_ms
from headgate.store.entities import Dataset, DatasetInput, Metric, ModelInput, RunContext, RunInfo
from headgate.store.errors import NothingMeasured
from headgate.tasks.model_ids import ready_model_id
from headgate.tasks.process import OnOutput, ProcessScope
from headgate.tasks.promote import champion_to_evaluate
from headgate.tasks.run_project import run_project
from headgate.tasks.run_result import RunResult
from headgate.tasks.stopping import StopRequest
from headgate.tasks.task_names import CHAMPION_SUFFIX

if TYPE_CHECKING:
    from headgate.store.store import Store
    from headgate.tasks.gates.model import Gate

DATASET_CONTEXT = {"mlflow.data.context": "evaluation"}


class RunOptions(TypedDict, total=False):
    """What :func:`headgate.tasks.run_project` may be told about a run, under the same names."""

    context: RunContext | None
    experiment: str | None
    version: str | None
    env: str | None
    run_name: str | None
    parent_run_id: str | None
    tags: Mapping[str, str] | None
    variables: Mapping[str, str] | None
    timeout: float | None
    process_scope: ProcessScope
    on_output: OnOutput | None
    on_start: Callable[[RunInfo], None] | None
    stop: StopRequest | None
    handle_signals: bool
    working_directory: Path | None
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation measured on one model.

    Args:
        model_id: the LoggedModel.
        run: the run that measured it.
        measurements: what it left on the model, each with the digest of its dataset; never empty.
    """

    model_id: str
    run: RunResult
    measurements: tuple[Metric, ...]


def evaluate_model(
    project: str | Path,
    entry_point: str = "evaluate",
    parameters: Mapping[str, Any] | None = None,
    *,
    model: str,
    store: Store,
    model_parameter: str = "model",
    dataset: Dataset | None = None,
    **options: Unpack[RunOptions],
) -> Evaluation:
    """Run an evaluating entry point for a model, and see to it that something was measured on the model.

    The model is recorded as an input of the run, and so is ``dataset``.

    On retry: as :func:`headgate.tasks.run_project`. The same attempt again returns what it measured.

    Args:
        project, entry_point, parameters: as :func:`headgate.tasks.run_project` takes them.
        model: a LoggedModel's id, or a ``models:/`` URI of one or of a version.
        store: where the run is recorded and the model is.
        model_parameter: which parameter of the entry point takes the model; it gets ``models:/<model id>``.
        dataset: the data that the entry point measures on, from :func:`headgate.tasks.tracking.dataset`. Metrics that
            the entry point logged to its run alone are then recorded on the model, with this digest. None leaves it to
            the entry point to say what it measured on.
        **options: how to run it, as :func:`headgate.tasks.run_project` takes them.

    Raises:
        InvalidModel: the model is not READY, or the version has no LoggedModel; nothing was run.
        NotFound: no such model; nothing was run.
        NothingMeasured: the entry point left no metric with the digest of a dataset on the model.
        HeadgateError: what :func:`headgate.tasks.run_project` raises.
    """
    model_id = ready_model_id(store, model, "it is evaluated")
    inputs = [DatasetInput(dataset, DATASET_CONTEXT)] if dataset is not None else []
    told = options.get("on_start")

    def on_start(info: RunInfo) -> None:
        store.datasets.log_inputs(info.run_id, inputs, [ModelInput(model_id)])
        if told is not None:
            told(info)

    options["on_start"] = on_start
    result = run_project(
        project,
        entry_point,
        {**(parameters or {}), model_parameter: f"models:/{model_id}"},
        store=store,
        evaluates=True,
        **options,
    )
    if dataset is not None:
        _record_on_model(store, result.run_id, model_id, dataset)
    measured = _measured_by(store, result.run_id, model_id)
    if not measured:
        raise NothingMeasured(
            f"The entry point {entry_point!r} ended well, and left no metric with the digest of a dataset on model "
            f"{model_id} (run {result.run_id}).",
            remedy="Log metrics with model_id= and dataset= in it, or say here which dataset it measures on.",
            run_id=result.run_id,
            model_id=model_id,
        )
    return Evaluation(model_id, result, measured)


def evaluate_champion(
    project: str | Path,
    entry_point: str = "evaluate",
    parameters: Mapping[str, Any] | None = None,
    *,
    candidate: Evaluation,
    gate: Gate | str | Path,
    model_name: str,
    target: str,
    store: Store,
    model_parameter: str = "model",
    dataset: Dataset | None = None,
    **options: Unpack[RunOptions],
) -> Evaluation | None:
    """Measure the champion as the candidate was, when the gate compares the two and has no figures of the champion.

    It is measured once per dataset and evaluator: the next gate that compares on the same digest finds the figures,
    unless the candidate was measured by another project, commit or entry point, or with other parameters.

    On retry: as :func:`evaluate_model`. Its run has the candidate's context, with ``.champion`` behind the task's name.

    Args:
        project, entry_point, parameters, store, model_parameter, dataset: as for the candidate.
        candidate: how the candidate was measured.
        gate: a Gate, or the path of a gate file.
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``; its holder is the champion.
        **options: how to run it; give the candidate's context.

    Returns:
        What was measured on the champion; None when the gate lacks nothing.

    Raises:
        InvalidGate, InvalidInput: the gate or the target can't be read.
        NothingMeasured: as :func:`evaluate_model`, about the champion.
        HeadgateError: what :func:`headgate.tasks.run_project` raises.
    """
    measured_by = {str(metric.run_id) for metric in candidate.measurements}
    now = options.get("clock", now_ms)()
    champion = champion_to_evaluate(
        store, gate, model_name, target, candidate.model_id, evaluation_run_ids=measured_by, now=now
    )
    if champion is None:
        return None
    context, name = options.get("context"), options.get("run_name")
    if context is not None and context.task is not None:
        options["context"] = replace(context, task=f"{context.task}{CHAMPION_SUFFIX}")
    if name is not None:
        options["run_name"] = f"{name}{CHAMPION_SUFFIX}"
    return evaluate_model(
        project,
        entry_point,
        parameters,
        model=champion,
        store=store,
        model_parameter=model_parameter,
        dataset=dataset,
        **options,
    )


def _record_on_model(store: Store, run_id: str, model_id: str, dataset: Dataset) -> None:
    """Record on the model what the run logged on none; what the entry point recorded on models itself stays."""
    measured = store.logged_models.measured_by([run_id])
    there = {metric.key for metric in measured if metric.model_id != model_id or metric.dataset_digest}
    told = [
        replace(metric, run_id=run_id, dataset_name=dataset.name, dataset_digest=dataset.digest)
        for key, metric in store.runs.get(run_id).metrics.items()
        if key not in there
    ]
    if told:
        store.logged_models.log_metrics(model_id, told)


def _measured_by(store: Store, run_id: str, model_id: str) -> tuple[Metric, ...]:
    """Return what a run, or a run that its script nested in it, measured on a model, on data with a digest."""
    runs = [run_id, *(child.run_id for child in store.runs.children(run_id))]
    measured = store.logged_models.measured_by(runs)
    return tuple(metric for metric in measured if metric.model_id == model_id and metric.dataset_digest)
