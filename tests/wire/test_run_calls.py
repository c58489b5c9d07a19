"""What Headgate's own client may call on the endpoint of its run, and how values come through."""

from __future__ import annotations

import json
import math
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from headgate.store.entities import (
    Dataset,
    DatasetInput,
    LoggedModelStatus,
    Metric,
    ModelOutput,
    RunContext,
    RunInfo,
    RunStatus,
)
from headgate.store.errors import HeadgateError, InvalidInput, InvalidSettings, ParamChanged, StoreUnavailable
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire.carrying import RUN_PATH, carried, carried_error, received, received_error
from headgate.wire.loopback import Loopback
from headgate.wire.run_calls import _GUARDS
from headgate.wire.run_store import RunStore
from tests.wire.conftest import PATIENCE, ServedStore

NOW = 1_790_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> RunInfo:
    return store.runs.open(store.experiments.create("own").experiment_id, now=NOW).info


@pytest.fixture
def endpoint(store: Store, run: RunInfo) -> Iterator[Loopback]:
    with Loopback(store, run, "runner", "secret") as opened:
        yield opened


@pytest.fixture
def remote(endpoint: Loopback) -> Iterator[RunStore]:
    opened = RunStore(endpoint.url, "secret")
    yield opened
    opened.close()


@contextmanager
def mlflow_at(endpoint: Loopback) -> Iterator[MlflowClient]:
    """The real client, as the process of the run has it."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in endpoint.environment.items():
            patched.setenv(name, value)
        yield MlflowClient(endpoint.url)


_TEXTS = st.text()
_METRICS = st.builds(Metric, _TEXTS, st.floats(), st.integers(), st.integers(), st.none() | _TEXTS)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS | st.sampled_from(RunStatus),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_TEXTS | st.integers(), inner)
        | st.builds(DatasetInput, st.builds(Dataset, _TEXTS, _TEXTS), st.dictionaries(_TEXTS, _TEXTS))
        | st.builds(RunContext, _TEXTS, attempt=st.none() | st.integers())
    ),
    max_leaves=20,
)


@given(_VALUES)
def test_what_is_carried_comes_out_as_it_was(value: Any) -> None:
    got = received(json.loads(json.dumps(carried(value))))
    assert got == value
    assert type(got) is type(value)


@given(_METRICS)
def test_numbers_that_json_has_no_word_for(metric: Metric) -> None:
    got = received(json.loads(json.dumps(carried(metric))))
    assert got == metric or (math.isnan(got.value) and math.isnan(metric.value))


def test_numbers_of_other_libraries() -> None:
    said = [numpy.float32(0.5), numpy.int64(7), numpy.array(2.0), Decimal("1.5")]
    assert carried(said) == [0.5, 7, 2.0, 1.5]
    assert [type(number) for number in carried(said)] == [float, int, float, float]


def test_what_is_no_number_and_no_text_is_not_carried() -> None:
    with pytest.raises(InvalidInput, match=r"can't be recorded: it is of the type object.*convert"):
        carried(object())


@pytest.mark.parametrize(
    "said", [{}, {"$": "Path"}, {"$": "HeadgateError", "fields": {}}, {"$": "RunStatus", "value": "DANCING"}, {"$": []}]
)
def test_nothing_else_is_built_from_what_arrives(said: Any) -> None:
    with pytest.raises(InvalidInput, match="no value of the store"):
        received(said)


def test_errors_come_out_as_they_were() -> None:
    error = ParamChanged("It was 1.", remedy="Start a run.", run_id="r", old="1", runs=("a",), cause=object())
    got = received_error(json.loads(json.dumps(carried_error(error))))
    assert (type(got), str(got), got.run_id, got.runs) == (ParamChanged, "It was 1. Start a run.", "r", ("a",))
    assert (
        type(received_error({"error": "SystemExit", "message": "m", "remedy": "", "attributes": {}})) is HeadgateError
    )


def test_calls_do_what_the_store_does(store: Store, run: RunInfo, remote: RunStore) -> None:
    remote.params.log(run.run_id, {"depth": "6"})
    remote.tags.set(run.run_id, {"team": "blue"})
    remote.metrics.log(run.run_id, [Metric("loss", math.nan, NOW), Metric("auc", math.inf, NOW, 3)])
    model = remote.logged_models.create(run.experiment_id, name="net", source_run_id=run.run_id, now=NOW)
    remote.datasets.log_outputs(run.run_id, [ModelOutput(model.model_id)])
    remote.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="d" * 64, now=NOW)
    got = remote.runs.get(run.run_id)
    assert repr(got) == repr(store.runs.get(run.run_id))
    assert (got.params, got.tags["team"], math.isnan(got.metrics["loss"].value)) == ({"depth": "6"}, "blue", True)
    assert remote.logged_models.get(model.model_id) == store.logged_models.get(model.model_id)
    assert store.logged_models.get(model.model_id).artifact_digest == "d" * 64


def test_errors_are_those_of_the_store(run: RunInfo, remote: RunStore) -> None:
    remote.params.log(run.run_id, {"depth": "6"})
    with pytest.raises(ParamChanged) as changed:
        remote.params.log(run.run_id, {"depth": "7"})
    assert (changed.value.key, changed.value.old, changed.value.new) == ("depth", "6", "7")
    with pytest.raises(InvalidInput, match="not a number"):
        remote.metrics.log(run.run_id, [Metric("loss", "small", NOW)])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="can't be called like that"):
        remote.params.log()


def test_runs_below_are_the_runs_own_to_end(store: Store, run: RunInfo, remote: RunStore) -> None:
    below = remote.runs.open(run.experiment_id, name="fold", user_id="somebody else", lease_owner="me").info
    assert (below.parent_run_id, below.user_id) == (run.run_id, "runner")
    assert remote.leases.heartbeat(below.run_id, "me", expires_at=NOW * 2, now=NOW)
    remote.runs.finish(below.run_id, RunStatus.FINISHED)
    assert store.runs.get_info(below.run_id).status is RunStatus.FINISHED


def test_what_the_code_of_a_run_may_not_do(store: Store, run: RunInfo, remote: RunStore) -> None:
    other = store.experiments.create("other").experiment_id
    theirs = store.runs.open(other, now=NOW).info.run_id
    model = store.logged_models.create(other, now=NOW).model_id
    refused = (
        lambda: remote.runs.open(other),
        lambda: remote.runs.open(run.experiment_id, parent_run_id=theirs),
        lambda: remote.runs.open(run.experiment_id, context=RunContext(pipeline="p", pipeline_run_id="1")),
        lambda: remote.runs.update(run.run_id, status=RunStatus.FINISHED),
        lambda: remote.runs.update(run.run_id, end_time=NOW),
        lambda: remote.runs.finish(run.run_id, RunStatus.FINISHED),
        lambda: remote.runs.finish(theirs, RunStatus.FAILED),
        lambda: remote.leases.acquire(run.run_id, "me", expires_at=NOW, now=NOW),
        lambda: remote.leases.heartbeat(theirs, "me", expires_at=NOW, now=NOW),
        lambda: remote.params.log(theirs, {"a": "1"}),
        lambda: remote.tags.set(theirs, {"a": "1"}),
        lambda: remote.metrics.log(theirs, []),
        lambda: remote.datasets.log_inputs(theirs, []),
        lambda: remote.datasets.log_outputs(run.run_id, [ModelOutput(model)]),
        lambda: remote.logged_models.create(other, now=NOW),
        lambda: remote.logged_models.create(run.experiment_id, source_run_id=theirs, now=NOW),
        lambda: remote.logged_models.finalize(model, LoggedModelStatus.FAILED, now=NOW),
        lambda: remote.experiments.get_or_create("a new one"),
        lambda: remote.registry.set_alias("model", "champion", 1),
        lambda: remote.runs.delete(run.run_id),
    )
    before = [store.runs.get(run.run_id), store.runs.get(theirs), store.logged_models.get(model)]
    for call in refused:
        with pytest.raises(InvalidInput, match=r"may not|only|is for its exit code|opens runs below"):
            call()
    assert [store.runs.get(run.run_id), store.runs.get(theirs), store.logged_models.get(model)] == before
    assert remote.experiments.get_or_create("other").experiment_id == other


def test_a_run_measures_the_models_of_other_experiments_that_it_was_handed(store: Store, run: RunInfo) -> None:
    other = store.experiments.create("other").experiment_id
    handed, another = (store.logged_models.create(other, now=NOW).model_id for _ in range(2))
    points = [Metric("auc", 0.5, NOW, model_id=handed)]
    with Loopback(store, run, "runner", "secret", measures=[handed]) as opened, mlflow_at(opened) as mlflow:
        remote = RunStore(opened.url, "secret")
        remote.metrics.log(run.run_id, points)
        mlflow.log_metric(run.run_id, "f1", 0.4, model_id=handed)
        with pytest.raises(InvalidInput, match="writes in experiment"):
            remote.metrics.log(run.run_id, [*points, Metric("auc", 0.1, NOW, model_id=another)])
        with pytest.raises(MlflowException, match="writes in experiment"):
            mlflow.log_metric(run.run_id, "auc", 0.1, model_id=another)
        remote.close()
    measured = store.logged_models.get(handed).metrics
    assert {(point.key, point.value, point.run_id) for point in measured} == {
        ("auc", 0.5, run.run_id),
        ("f1", 0.4, run.run_id),
    }
    assert store.logged_models.get(another).metrics == ()


def test_a_run_that_another_runner_keeps_is_not_ended_and_its_lease_not_taken(
    store: Store, run: RunInfo, remote: RunStore, endpoint: Loopback
) -> None:
    def kept(parent: str | None) -> str:
        opened = store.runs.open(run.experiment_id, parent_run_id=parent, lease_owner="other", lease_seconds=9e9)
        return opened.info.run_id

    sibling, below = kept(None), kept(kept(run.run_id))
    calls = (
        lambda run_id: remote.leases.acquire(run_id, "thief", expires_at=NOW, now=NOW),
        lambda run_id: remote.runs.finish(run_id, RunStatus.FINISHED),
        lambda run_id: remote.runs.open(run.experiment_id, run_id=run_id, lease_owner="thief"),
    )
    for call in calls:
        with pytest.raises(InvalidInput, match="kept by another runner"):
            call(sibling)
    with mlflow_at(endpoint) as mlflow, pytest.raises(MlflowException, match="kept by another runner"):
        mlflow.set_terminated(sibling)
    with pytest.raises(InvalidInput, match="its lease is its runner's"):
        remote.runs.open(run.experiment_id, run_id=run.run_id, lease_owner="thief")
    lease = store.leases.get(sibling)
    assert (store.runs.get_info(sibling).status, lease and lease.owner) == (RunStatus.RUNNING, "other")
    remote.leases.acquire(below, "me", expires_at=NOW, now=NOW)
    remote.runs.finish(below, RunStatus.FINISHED)
    assert store.runs.get_info(below).status is RunStatus.FINISHED
    ended = store.runs.open(run.experiment_id, now=NOW).info.run_id
    with mlflow_at(endpoint) as mlflow:  # as start_run(run_id=…) does with a run that nobody keeps
        mlflow.update_run(ended, status="RUNNING")
        mlflow.set_terminated(ended)
    assert store.runs.get_info(ended).status is RunStatus.FINISHED


def test_a_process_of_many_open_files_has_an_endpoint_all_the_same(store: Store, run: RunInfo) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        endpoint = opened.enter_context(Loopback(store, run, "runner", "secret"))
        remote = RunStore(endpoint.url, "secret")
        opened.callback(remote.close)
        assert remote.runs.get_info(run.run_id).run_id == run.run_id


def test_nothing_that_can_be_called_promotes_or_deletes() -> None:
    assert {name.split(".")[0] for name in _GUARDS}.isdisjoint(
        {"promotions", "verdicts", "gates", "approvals", "tokens"}
    )
    assert not [name for name in _GUARDS if any(verb in name for verb in ("delete", "alias", "stage", "promote"))]


def test_nobody_else_is_let_in_and_servers_have_no_such_route(store: Store, endpoint: Loopback) -> None:
    def ask(url: str, **headers: str) -> int:
        body = {"positional": [], "named": carried({"run_id": "r"})}
        return requests.post(f"{url}{RUN_PATH}/runs.get", json=body, headers=headers, timeout=PATIENCE).status_code

    assert ask(endpoint.url) == 401
    assert ask(endpoint.url, Authorization="Bearer wrong") == 401
    assert ask(endpoint.url, Authorization="Bearer secret") == 200
    with ServedStore(store) as served:
        assert ask(served.url) == 404


def test_an_endpoint_that_is_gone(endpoint: Loopback, run: RunInfo) -> None:
    remote = RunStore(endpoint.url, "secret")
    remote.tags.set(run.run_id, {"a": "1"})
    endpoint.close()
    with pytest.raises(StoreUnavailable, match="lives as long as the run does"):
        remote.tags.set(run.run_id, {"a": "2"})
    remote.close()


def test_a_store_that_does_not_answer_keeps_its_address_to_itself(
    store: Store, run: RunInfo, remote: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("The database at db.example.org did not answer.")

    monkeypatch.setattr(store.tags, "set", refuse)
    with pytest.raises(StoreUnavailable) as raised:
        remote.tags.set(run.run_id, {"a": "1"})
    assert "example.org" not in str(raised.value)


def test_an_environment_without_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGATE_RUN_TOKEN", raising=False)
    with pytest.raises(InvalidSettings, match=r"HEADGATE_RUN_TOKEN is not set.*Pass the whole environment"):
        RunStore.of_environment("http://127.0.0.1:9")


def test_an_address_is_no_store() -> None:
    with pytest.raises(InvalidSettings, match=r"HTTP address.*promote outside of the project's code"):
        open_store("http://127.0.0.1:9", settings=Settings())
