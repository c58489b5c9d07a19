"""Registering a LoggedModel: once per name, however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.entities import LoggedModelStatus, Metric
from headgate.store.errors import InvalidInput, InvalidModel, NotFound
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import AllOf, Gate, Threshold, promote_if_passing, register_model

NOW = 1_800_000_000_000
GATE = Gate("screening", AllOf([Threshold("f1", above=0.5)]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


def ready_model(store: Store) -> str:
    run = store.runs.open("0", now=NOW)
    model = store.logged_models.create("0", source_run_id=run.info.run_id, now=NOW)
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=NOW)
    return model.model_id


def test_a_model_becomes_the_next_version_once(store: Store) -> None:
    model_id = ready_model(store)
    told = {"actor": "airflow:retrain", "description": "weekly", "now": NOW}
    first = register_model(store, "churn", model_id, tags={"team": "red"}, **told)
    assert (first.version, first.model_id, first.user_id, first.description) == (
        1,
        model_id,
        "airflow:retrain",
        "weekly",
    )
    assert first.run_id == store.logged_models.get(model_id).source_run_id
    again = register_model(store, "churn", f"models:/{model_id}", tags={"checked": "yes"}, now=NOW + 1)
    assert (again.version, again.tags, again.description) == (1, {"team": "red", "checked": "yes"}, "weekly")
    assert register_model(store, "churn", ready_model(store)).version == 2
    assert register_model(store, "other", "models:/churn/1").model_id == model_id


def test_many_that_register_a_model_at_once_get_one_version(store: Store) -> None:
    model_id = ready_model(store)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: register_model(store, "churn", model_id, now=NOW), range(8)))
    assert {version.version for version in made} == {1}
    assert len(store.registry.search_versions("name = 'churn'").items) == 1


def test_a_promotion_takes_the_version_that_was_registered(store: Store) -> None:
    model_id = ready_model(store)
    point = Metric("f1", 0.9, NOW, run_id="a" * 32, dataset_name="holdout", dataset_digest="feed")
    store.logged_models.log_metrics(model_id, [point])
    registered = register_model(store, "churn", model_id, now=NOW)
    promotion = promote_if_passing(store, GATE, "churn", "@champion", model_id, actor="alice", now=NOW)
    assert promotion.to_version == registered.version
    assert register_model(store, "churn", model_id, now=NOW).aliases == ("champion",)


def test_what_is_no_finished_model_is_not_registered(store: Store) -> None:
    pending = store.logged_models.create("0", now=NOW)
    with pytest.raises(InvalidModel, match="PENDING, not READY"):
        register_model(store, "churn", pending.model_id)
    with pytest.raises(NotFound):
        register_model(store, "churn", "m-none")
    with pytest.raises(InvalidInput):
        register_model(store, "a/b", ready_model(store))
    assert store.registry.search_models().items == ()
