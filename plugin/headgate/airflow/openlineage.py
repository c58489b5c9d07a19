"""What Headgate's operators tell OpenLineage, where ``apache-airflow-providers-openlineage`` is installed and set up.

================  ==================================  ==================================  =============================
task              inputs                              outputs                             facets of the run
================  ==================================  ==================================  =============================
runs, evaluates   the run's datasets and models       the models it logged                its params
validates         the dataset                         none                                the suite's outcome as a test
registers         the LoggedModel                     the registered model                none
decides, asks     the candidate                       none                                the gate's checks as tests
promotes          the LoggedModel                     the model's alias or stage          the gate's checks as tests
watches           the model's alias or stage          the same, where it rolled back      the watch's checks as tests
================  ==================================  ==================================  =============================

The provider asks an operator from a fork of the task's process, which shares the connection to the supervisor and must
not use it. So everything is read in the task itself, when it knows what it hands on; the answers come from memory.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.airflow.asset_uris import DATASETS, MODELS, SCHEME, AssetName, openlineage_name

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow.providers.openlineage.extractors import OperatorLineage

    from headgate.store.entities import CheckResult, Dataset
    from headgate.store.store import Store

_LOGGED_MODELS = "logged-models"
_PROVIDER = "airflow.providers.openlineage.conf"
_log = logging.getLogger("airflow.task.headgate")


@dataclass(frozen=True, slots=True)
class Thing:
    """A dataset in OpenLineage's sense: a dataset, a LoggedModel, a registered model, an alias, a stage."""

    namespace: str
    name: str
    type: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """A check of a gate, or a suite's outcome: ``status`` is pass or fail, ``severity`` error or warn."""

    name: str
    status: str
    severity: str = "error"
    type: str | None = None
    description: str | None = None
    expected: str | None = None
    actual: str | None = None


@dataclass(frozen=True, slots=True)
class Traced:
    """What a task has to tell."""

    inputs: tuple[Thing, ...] = ()
    outputs: tuple[Thing, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[Test, ...] = ()


class OpenLineageMethods:
    """To be mixed into an operator, before it: what the provider looks for."""

    headgate_conn_id: str
    open_store: Callable[[], AbstractContextManager[Store]]
    _traced: Traced | None = None

    def trace(self, reference: Any) -> None:
        """Read what there is to tell of a reference that the task hands on, if somebody is going to ask; once.

        Never fails the task.
        """
        if self._traced is not None or not isinstance(reference, Mapping) or not _is_asked():
            return
        try:
            with self.open_store() as store:
                self._traced = read_lineage(store, reference, self.headgate_conn_id)
        except Exception:  # noqa: BLE001 - the work is done; its lineage is not worth failing it
            _log.warning("There is nothing to tell OpenLineage.", exc_info=True)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        return None if self._traced is None else lineage_of(self._traced)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        return self.get_openlineage_facets_on_complete(task_instance)


def read_lineage(store: Store, reference: Mapping[str, Any], headgate_conn_id: str) -> Traced:
    """Return what is to be told of a reference of :mod:`headgate.airflow.references`; of any other, nothing."""
    if "rollback_id" in reference:
        return _of_watch(store, reference, headgate_conn_id)
    if "promotion_id" in reference:
        return _of_promotion(store, reference, headgate_conn_id)
    if "verdict_id" in reference:
        verdict = store.verdicts.get(str(reference["verdict_id"]))
        candidate = _logged_model(verdict.candidate_model_id, verdict.candidate_digest, headgate_conn_id)
        return Traced(inputs=(candidate,), tests=tuple(_test(check) for check in verdict.checks))
    if "suite" in reference:
        data = _named(AssetName(DATASETS, reference["dataset"], None, headgate_conn_id), "DATASET", reference["digest"])
        passed = reference["outcome"] == "pass"
        suite = Test(reference["suite"], "pass" if passed else "fail", description="; ".join(reference["reasons"]))
        return Traced(inputs=(data,), tests=(suite,))
    if "metrics" in reference and "run_id" in reference:
        return _of_run(store, str(reference["run_id"]), headgate_conn_id)
    if "model_name" in reference and "version" in reference:
        registered = AssetName(MODELS, reference["model_name"], None, headgate_conn_id)
        return Traced(
            inputs=_logged_models([reference["model_id"]], headgate_conn_id, reference["digest"]),
            outputs=(_named(registered, "MODEL", reference["version"]),),
        )
    return Traced()


def lineage_of(traced: Traced) -> OperatorLineage[Any, Any]:
    """Return in the provider's classes what a task has to tell."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import execution_parameters_run, test_run

    run_facets: dict[str, Any] = {}
    if traced.params:
        run_facets["executionParameters"] = execution_parameters_run.ExecutionParametersRunFacet(
            parameters=[
                execution_parameters_run.ExecutionParameter(key=name, name=name, value=value)
                for name, value in traced.params.items()
            ]
        )
    if traced.tests:
        run_facets["test"] = test_run.TestRunFacet(
            tests=[
                test_run.TestExecution(
                    name=test.name,
                    status=test.status,
                    severity=test.severity,
                    type=test.type,
                    description=test.description,
                    expected=test.expected,
                    actual=test.actual,
                )
                for test in traced.tests
            ]
        )
    return OperatorLineage(
        inputs=[_dataset(thing) for thing in traced.inputs],
        outputs=[_dataset(thing) for thing in traced.outputs],
        run_facets=run_facets,
    )


def _of_promotion(store: Store, reference: Mapping[str, Any], conn_id: str) -> Traced:
    promoted = AssetName(MODELS, reference["model_name"], reference["target"], conn_id)
    return Traced(
        inputs=_logged_models([reference["model_id"]], conn_id, reference["digest"]),
        outputs=(_named(promoted, "MODEL", reference["version"]),),
        tests=_tests_of(store, reference["verdict_id"]),
    )


def _of_watch(store: Store, reference: Mapping[str, Any], conn_id: str) -> Traced:
    target = AssetName(MODELS, reference["model_name"], reference["target"], conn_id)
    restored = store.promotions.get(reference["rollback_id"]) if reference["rollback_id"] else None
    return Traced(
        inputs=(_named(target, "MODEL", reference["version"]),),
        outputs=() if restored is None else (_named(target, "MODEL", restored.to_version),),
        tests=_tests_of(store, reference["verdict_id"]),
    )


def _tests_of(store: Store, verdict_id: str | None) -> tuple[Test, ...]:
    return tuple(_test(check) for check in store.verdicts.get(verdict_id).checks) if verdict_id else ()


def _of_run(store: Store, run_id: str, conn_id: str) -> Traced:
    run = store.runs.get(run_id)
    datasets = tuple(_of_dataset(item.dataset, conn_id) for item in run.dataset_inputs)
    used = _logged_models([item.model_id for item in run.model_inputs], conn_id)
    made = _logged_models([item.model_id for item in run.model_outputs], conn_id)
    return Traced(inputs=datasets + used, outputs=made, params=dict(run.params))


def _of_dataset(dataset: Dataset, conn_id: str) -> Thing:
    return _named(AssetName(DATASETS, dataset.name, None, conn_id), "DATASET", dataset.digest)


def _logged_models(model_ids: list[str | None], conn_id: str, digest: str | None = None) -> tuple[Thing, ...]:
    return tuple(_logged_model(model_id, digest, conn_id) for model_id in model_ids if model_id is not None)


def _logged_model(model_id: str, digest: str | None, conn_id: str) -> Thing:
    return Thing(f"{SCHEME}://{conn_id}", f"{_LOGGED_MODELS}/{model_id}", "MODEL", digest)


def _named(name: AssetName, kind: str, version: Any) -> Thing:
    namespace, path = openlineage_name(name)
    return Thing(namespace, path, kind, None if version is None else str(version))


def _test(check: CheckResult) -> Test:
    return Test(
        name=check.rule,
        status="pass" if check.outcome == "pass" else "fail",
        severity="error" if check.severity == "block" else "warn",
        type=check.kind,
        description=check.message or None,
        expected=None if check.threshold is None else str(check.threshold),
        actual=None if check.actual is None else str(check.actual),
    )


def _dataset(thing: Thing) -> Any:
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import dataset_type_dataset, dataset_version_dataset

    facets: dict[str, Any] = {
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(datasetType=thing.type),
    }
    if thing.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=thing.version)
    return Dataset(namespace=thing.namespace, name=thing.name, facets=facets)


def _is_asked() -> bool:
    """Say whether the provider is at work: its plugin is then loaded in every task's process."""
    conf = sys.modules.get(_PROVIDER)
    return conf is not None and not conf.is_disabled()
