"""Measuring a LoggedModel on labelled data by a built-in evaluator, as a recorded run of this process.

The counterpart of :mod:`headgate.tasks.evaluate`, which runs an entry point of the user's. What is measured stands on
the model with the digest of the data; the data are an input of the run, with their schema and profile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.entities import DatasetInput, Metric, ModelInput, Run, RunContext, RunStatus
from headgate.store.errors import InvalidInput, NothingMeasured
from headgate.store.validation import EVALUATOR_KEY_TAG
from headgate.tasks.evaluate import DATASET_CONTEXT, Evaluation
from headgate.tasks.evaluators.evaluator import EVALUATOR_VERSION, Evaluator
from headgate.tasks.expectations.table import read_table
from headgate.tasks.gate_evidence import model_size
from headgate.tasks.in_process_run import in_process_run
from headgate.tasks.model_ids import ready_model_id
from headgate.tasks.promote import champion_of, champion_to_evaluate
from headgate.tasks.run_result import earlier_result, result_of
from headgate.tasks.slices import slice_key
from headgate.tasks.stopping import StopRequest
from headgate.tasks.task_names import CHAMPION_SUFFIX

if TYPE_CHECKING:
    from headgate.store.entities import Dataset
    from headgate.store.store import Store
    from headgate.tasks.evaluators.predictions import Asked
    from headgate.tasks.gates.model import Gate
    from headgate.tasks.model_format.load import LoadedModel

EVALUATOR_TAG = "headgate.evaluator"
"""The tag of a run of a built-in evaluator: its kind and the version of its code, such as ``classification/2``."""

_MOST_SLICES = 200
_EARLIER_RUNS = 50


def measure_model(
    evaluator: Evaluator | Mapping[str, Any],
    data: Any,
    *,
    model: str,
    store: Store,
    dataset: str | None = None,
    reuse: bool = False,
    context: RunContext | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    stop: StopRequest | None = None,
    handle_signals: bool = True,
    clock: Callable[[], int] = now_ms,
) -> Evaluation:
    """Measure a model on labelled data.

    The model is loaded into this process, which runs its code: measure only models that you trust, or give an evaluator
    the column of predictions that were made before.

    On retry: each try of a context with a ``pipeline_run_id`` is an attempt of the same work; the same attempt again
    returns what it measured.

    Args:
        evaluator: what is measured.
        data: a DataFrame; or a CSV or Parquet file: a path, or a URI with ``s3``, ``http(s)``, ``runs`` or ``models``.
        model: a LoggedModel's id, or a ``models:/`` URI of one or of a version.
        store: where the model is and the run goes.
        dataset: the data's name; None takes the file's name without its ending.
        reuse: take what the same evaluator measured on the same model and data before, if it did.
        context: which piece of an orchestrator's work this is; None is none.
        experiment: its name; made when it is missing. None is ``Default``.
        run_name: None invents one.
        parent_run_id: the run that this one is part of.
        tags: of the run.
        stop: asks the evaluation to end; it does at its end, as KILLED.
        handle_signals: end the run on SIGTERM and SIGHUP, where this is the main thread.
        clock: gives epoch ms.

    Raises:
        CorruptArtifact: the model's files are not those that were logged.
        InvalidInput: the evaluator or the data can't be used.
        InvalidModel: the model is not READY, can't be loaded here, or can't predict the data.
        InvalidSettings: the extra ``evaluate`` is not installed.
        NotFound: no such model.
        NothingMeasured: no figure is defined on the data.
        RunKilled: by a signal, a request or a lost lease.
        StoreUnavailable, ArtifactStoreUnavailable: no answer; a retry may help.
    """
    said = Evaluator.of(evaluator)
    model_id = ready_model_id(store, model, "it is measured")
    with tempfile.TemporaryDirectory(prefix="headgate-measure-") as name:
        folder = Path(name)
        table, found = read_table(store, data, dataset, folder)
        if reuse and (earlier := measured_before(store, said, model_id, found.digest)) is not None:
            return earlier
        with in_process_run(
            store,
            subject=f"The evaluation of {model_id}",
            context=context,
            experiment=experiment,
            name=run_name,
            parent_run_id=parent_run_id,
            params={"evaluator": str(said.kind), "target": said.target},
            tags={
                **(tags or {}),
                EVALUATOR_TAG: f"{said.kind}/{EVALUATOR_VERSION}",
                EVALUATOR_KEY_TAG: said.key,
            },
            stop=stop,
            handle_signals=handle_signals,
            clock=clock,
        ) as run:
            if not run.info.status.terminated:
                _measure(store, run, said, model_id, table, found, folder, clock)
    return _evaluation(store, store.runs.get(run.info.run_id), model_id)


def measure_champion(
    evaluator: Evaluator | Mapping[str, Any],
    data: Any,
    *,
    candidate: Evaluation,
    model_name: str,
    target: str,
    store: Store,
    gate: Gate | None = None,
    **options: Any,
) -> Evaluation | None:
    """Measure the holder of a target as the candidate was, once per data and evaluator: later calls find the figures.

    On retry: as :func:`measure_model`. Its run has the candidate's context, with ``.champion`` behind the task's name.

    Args:
        evaluator, data, store: as for the candidate.
        candidate: how the candidate was measured.
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``; its holder is the champion.
        gate: None measures whatever any gate may compare; a gate that compares nothing needs nothing.
        **options: as :func:`measure_model` takes them; give the candidate's.

    Returns:
        What was measured on the champion, now or before; None when there is no champion, it is the candidate, or it was
        registered without a LoggedModel; and, where the evaluator reads predictions, when the gate lacks none of the
        champion's figures.

    Raises:
        InvalidInput: the evaluator reads predictions from the data: they are the candidate's.
        HeadgateError: what :func:`measure_model` raises.
    """
    if gate is not None and not gate.compares:
        return None
    champion = champion_of(store, model_name, target)
    if champion is None or champion == candidate.model_id:
        return None
    said = Evaluator.of(evaluator)
    if (column := said.prediction or said.score) is not None:
        lacking = gate is None or champion_to_evaluate(
            store, gate, model_name, target, candidate.model_id, evaluation_run_ids=[candidate.run.run_id]
        )
        if lacking:
            raise _predictions_of_the_candidate(column, champion, candidate, f"{target} of {model_name!r}")
        return None
    context, name = options.get("context"), options.get("run_name")
    if context is not None and context.task is not None:
        options["context"] = replace(context, task=f"{context.task}{CHAMPION_SUFFIX}")
    if name is not None:
        options["run_name"] = f"{name}{CHAMPION_SUFFIX}"
    return measure_model(said, data, model=champion, store=store, **{**options, "reuse": True})


def measured_before(store: Store, evaluator: Evaluator, model_id: str, dataset_digest: str) -> Evaluation | None:
    """Return what an evaluator measured on a model and data before, the newest; None when it did not."""
    points = [m for m in store.logged_models.metrics(model_id) if m.dataset_digest == dataset_digest and m.run_id]
    newest = sorted(points, key=lambda metric: metric.timestamp, reverse=True)
    run_ids = list(dict.fromkeys(str(metric.run_id) for metric in newest))[:_EARLIER_RUNS]
    for run in store.runs.get_many(run_ids):
        if run.tags.get(EVALUATOR_KEY_TAG) == evaluator.key and run.info.status is RunStatus.FINISHED:
            return _evaluation(store, run, model_id)
    return None


def _predictions_of_the_candidate(column: str, champion: str, candidate: Evaluation, target: str) -> InvalidInput:
    return InvalidInput(
        f"The column {column!r} holds what {candidate.model_id} predicts: {champion}, which holds {target}, can't be "
        "measured by it.",
        remedy=f"Put the champion's predictions into a column of the same data, and measure {champion} with an "
        "evaluator that names it (measure_model); or name neither prediction nor score: both models are then asked.",
        model_id=champion,
        column=column,
    )


def _measure(
    store: Store,
    run: Run,
    evaluator: Evaluator,
    model_id: str,
    table: Any,
    dataset: Dataset,
    folder: Path,
    clock: Callable[[], int],
) -> None:
    from headgate.tasks.evaluators.predictions import ask_model
    from headgate.tasks.evaluators.rows import ROWS_PATH, rows_csv

    store.datasets.log_inputs(run.info.run_id, [DatasetInput(dataset, DATASET_CONTEXT)], [ModelInput(model_id)])
    asked = ask_model(evaluator, table, None if evaluator.prediction else _loaded(store, model_id, folder))
    found = dict(_all_figures(evaluator, asked))
    if not found:
        raise NothingMeasured(
            f"No figure of a {evaluator.kind} is defined on the data {dataset.name!r}.",
            remedy="Give data with labels of more than one kind.",
            run_id=run.info.run_id,
            model_id=model_id,
        )
    if (size := model_size(store, model_id)) is not None:
        found["model_size_bytes"] = float(size)
    if evaluator.rows:
        content = rows_csv(evaluator, asked.table, asked.predicted)
        store.artifacts(run.info.artifact_uri).put_bytes(content, ROWS_PATH)
    at = clock()
    name, digest = dataset.name, dataset.digest
    metrics = [
        Metric(key, value, at, run_id=run.info.run_id, model_id=model_id, dataset_name=name, dataset_digest=digest)
        for key, value in found.items()
    ]
    store.runs.log_batch(run.info.run_id, metrics=metrics)


def _loaded(store: Store, model_id: str, folder: Path) -> LoadedModel:
    from headgate.tasks.model_format.load import load_model
    from headgate.tasks.tracking.model_files import verified_folder
    from headgate.tasks.tracking.uris import ModelPlace

    model = store.logged_models.get(model_id)
    place = ModelPlace(model.artifact_location, model)
    here = store.artifacts(place.uri).local_path("") is not None
    return load_model(verified_folder(store, place, None if here else folder / "model"))


def _all_figures(evaluator: Evaluator, asked: Asked) -> Iterator[tuple[str, float]]:
    from headgate.tasks.evaluators.figures import figures

    whole = figures(evaluator, asked.predicted)
    if not whole:
        return
    yield from whole.items()
    yield "rows", float(len(asked.predicted))
    for column in evaluator.slices:
        yield from _slice_figures(evaluator, asked, column)
    for percent in (50, 95, 99) if asked.latencies else ():
        # The nearest rank: a call that was made, not a mean of two.
        rank = -(-percent * len(asked.latencies) // 100)
        yield f"latency_p{percent}_ms", asked.latencies[rank - 1]


def _slice_figures(evaluator: Evaluator, asked: Asked, column: str) -> Iterator[tuple[str, float]]:
    from headgate.tasks.evaluators.figures import figures

    values = asked.table[column]
    texts = values.astype(str).where(values.notna(), "missing").to_numpy()
    names = sorted(set(texts.tolist()))
    if len(names) > _MOST_SLICES:
        raise InvalidInput(
            f"The column {column!r} has {len(names)} values, and {_MOST_SLICES} slices are the most.",
            remedy="Put its values into groups first.",
        )
    written = {slice_key("", column, name) for name in names}
    if len(written) < len(names):
        raise InvalidInput(
            f"Some values of {column!r} differ only in characters that a metric's name can't have.",
            remedy="Rename them.",
        )
    for name in names:
        rows = texts == name
        if rows.sum() >= evaluator.min_rows:
            for metric, value in {**figures(evaluator, asked.predicted.at(rows)), "rows": float(rows.sum())}.items():
                yield slice_key(metric, column, name), value


def _evaluation(store: Store, run: Run, model_id: str) -> Evaluation:
    result = result_of(store, run) if run.info.status is RunStatus.FINISHED else earlier_result(store, run)
    measured = tuple(m for m in store.logged_models.measured_by([run.info.run_id]) if m.model_id == model_id)
    return Evaluation(model_id, result, measured)
