"""Validating data against a suite of expectations, as a recorded run that keeps the report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.entities import DatasetInput, Metric, Outcome, Run, RunContext, RunStatus
from headgate.store.errors import DataRejected, HeadgateError, InvalidInput, InvalidSuite
from headgate.store.validation import VALIDATION_TAG
from headgate.tasks.expectations.results import (
    DataValidation,
    outcome_of,
    validation_from_json,
    validation_json,
)
from headgate.tasks.expectations.suite import SEVERITIES, Suite, load_suite
from headgate.tasks.expectations.table import read_data
from headgate.tasks.in_process_run import in_process_run
from headgate.tasks.run_result import earlier_result
from headgate.tasks.stopping import StopRequest

if TYPE_CHECKING:
    from headgate.store.store import Store

_JSON_PATH, _HTML_PATH = "validation/validation.json", "validation/report.html"
_DATA_DOCS_PATH = "validation/data_docs.html"
_SHOWN_FAILURES = 3


def validate_data(
    data: Any,
    suite: Any,
    *,
    store: Store,
    name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    fail_at: str = "critical",
    data_docs: bool = False,
    context: RunContext | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    stop: StopRequest | None = None,
    handle_signals: bool = True,
    clock: Callable[[], int] = now_ms,
) -> DataValidation:
    """Judge data by a suite of Great Expectations 1.x, and record the result, whatever it says.

    The run has the dataset with its digest as an input, and the result as the artifacts ``validation/validation.json``
    and ``validation/report.html``. It is FINISHED when the data were judged, also when they were found wanting. What
    could not be judged never passes: see :func:`validation_error`.

    On retry: each try of a context with a ``pipeline_run_id`` is an attempt of the same work; the same attempt again
    returns what it found.

    Args:
        data: a DataFrame; a CSV or Parquet file: a path, or a URI with ``s3``, ``http(s)``, ``runs`` or ``models``; or
            a :class:`~headgate.tasks.expectations.sql.SqlTable`.
        suite: a JSON or YAML file, what stands in one, or an ``ExpectationSuite``; see
            :func:`headgate.tasks.expectations.suite.load_suite`.
        store: where the run is recorded.
        name: of the dataset; None takes the file's name without its ending.
        parameters: values of ``{"$PARAMETER": name}`` in the suite.
        fail_at: ``critical``, ``warning`` or ``info``: data that don't meet an expectation of this severity, or a worse
            one, are rejected; milder ones are only reported.
        data_docs: keep Great Expectations' own page as well, as ``validation/data_docs.html``. It loads its looks from
            the internet when somebody reads it.
        context: which piece of an orchestrator's work this is; None is none.
        experiment: its name; made when it is missing. None is ``Default``.
        run_name: None invents one.
        parent_run_id: the run that this one is part of.
        tags: of the run.
        stop: asks the validation to end; it does at its end, as KILLED.
        handle_signals: end the run on SIGTERM and SIGHUP, where this is the main thread.
        clock: gives epoch ms.

    Raises:
        InvalidSuite: the suite can't be read, is empty, or has an expectation that Great Expectations doesn't know or
            can't take; nothing was found out about the data.
        InvalidInput: the data are not there, can't be read, or have no rows.
        InvalidSettings: the extra ``gx`` is not installed.
        RunNotActive: a newer attempt exists, or this one has ended without success.
        RunKilled: by a signal, a request or a lost lease.
        StoreUnavailable, ArtifactStoreUnavailable, ProjectUnavailable, DataUnavailable: no answer; a retry may help.
    """
    if fail_at not in SEVERITIES:
        raise InvalidInput(f"fail_at is {fail_at!r}.", remedy=f"Say {', '.join(SEVERITIES[:-1])} or {SEVERITIES[-1]}.")
    read = load_suite(suite)
    with in_process_run(
        store,
        subject=f"The validation against {read.name!r}",
        context=context,
        experiment=experiment,
        name=run_name,
        parent_run_id=parent_run_id,
        params={"suite": read.name, "fail_at": fail_at},
        tags=tags,
        stop=stop,
        handle_signals=handle_signals,
        clock=clock,
    ) as run:
        if run.info.status.terminated:
            return _earlier(store, run)
        with tempfile.TemporaryDirectory(prefix="headgate-data-") as folder:
            return _validate(store, run, data, read, name, parameters, fail_at, data_docs, Path(folder), clock)


def validation_error(validation: DataValidation) -> HeadgateError | None:
    """Return the error that a validation stands for, its first failures in the message; None for one that passes.

    The error carries ``run_id``, ``suite`` and ``dataset_digest``. It is :class:`~headgate.store.errors.DataRejected`
    for data that don't meet their expectations, and :class:`~headgate.store.errors.InvalidSuite` where an expectation
    could not be judged on these data, such as one of a column that they don't have.
    """
    if validation.outcome is Outcome.PASS:
        return None
    failed = validation.failures
    reasons = " ".join(f"[{result.rule}] {result.message}" for result in failed[:_SHOWN_FAILURES])
    more = f" And {len(failed) - _SHOWN_FAILURES} more." if len(failed) > _SHOWN_FAILURES else ""
    data = f"The data {validation.dataset.name!r} (digest {validation.dataset.digest})"
    facts = {
        "remedy": f"The report is the artifact {validation.html_path} of run {validation.run_id}.",
        "run_id": validation.run_id,
        "suite": validation.suite,
        "dataset_digest": validation.dataset.digest,
    }
    if validation.outcome is Outcome.ERROR:
        return InvalidSuite(f"{data} can't be judged by the suite {validation.suite!r}: {reasons}{more}", **facts)
    return DataRejected(f"{data} don't meet the suite {validation.suite!r}: {reasons}{more}", **facts)


def _validate(
    store: Store,
    run: Run,
    data: Any,
    suite: Suite,
    name: str | None,
    parameters: Mapping[str, Any] | None,
    fail_at: str,
    data_docs: bool,
    folder: Path,
    clock: Callable[[], int],
) -> DataValidation:
    from headgate.tasks.expectations.judge import judge
    from headgate.tasks.expectations.report import report_html

    table, dataset, rows = read_data(store, data, name, folder)
    store.datasets.log_inputs(run.info.run_id, [DatasetInput(dataset, {"mlflow.data.context": "validation"})])
    judged = judge(table, suite, parameters, data_docs=data_docs)
    results = judged.results
    validation = DataValidation(
        run_id=run.info.run_id,
        suite=suite.name,
        suite_digest=suite.digest,
        dataset=dataset,
        rows=rows,
        fail_at=fail_at,
        outcome=outcome_of(results, fail_at),
        results=results,
        validated_at=clock(),
        artifact_uri=run.info.artifact_uri,
        json_path=_JSON_PATH,
        html_path=_HTML_PATH,
    )
    artifacts = store.artifacts(run.info.artifact_uri)
    artifacts.put_bytes(report_html(validation).encode(), _HTML_PATH)
    artifacts.put_bytes(validation_json(validation).encode(), _JSON_PATH)
    if judged.data_docs is not None:
        artifacts.put_bytes(judged.data_docs.encode(), _DATA_DOCS_PATH)
    _log(store, validation)
    return validation


def _log(store: Store, validation: DataValidation) -> None:
    figures = {
        "expectations": len(validation.results),
        "expectations_met": sum(result.outcome is Outcome.PASS for result in validation.results),
        "expectations_failed": len(validation.failures),
    }
    store.runs.log_batch(
        validation.run_id,
        metrics=[Metric(key, value, validation.validated_at) for key, value in figures.items()],
        tags={VALIDATION_TAG: str(validation.outcome)},
    )


def _earlier(store: Store, run: Run) -> DataValidation:
    if run.info.status is not RunStatus.FINISHED:
        earlier_result(store, run)  # raises, and says why
    with store.artifacts(run.info.artifact_uri).open(_JSON_PATH) as stored:
        return validation_from_json(stored.read())
