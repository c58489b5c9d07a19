"""LoggedModels: their fields, params, tags, metrics per run and dataset, and their lifecycle."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headgate.store.entities import LifecycleStage, LoggedModelStatus, Metric
from headgate.store.errors import InvalidInput, ModelPromoted, NotFound, ParamChanged
from headgate.store.logged_models import EXTERNAL_TAG
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from tests.store.promotion_cases import CHAMPION, DAY, MODEL, candidate, promote

NOW = 1_800_000_000_000
THREADS = 6


def test_a_model_has_every_field_of_mlflows_entity(store: Store) -> None:
    experiment = store.experiments.get_or_create("screening")

    created = store.logged_models.create(
        experiment.experiment_id,
        name="forest",
        source_run_id="a" * 32,
        model_type="classifier",
        params={"depth": "6"},
        tags={"team": "red"},
        now=NOW,
    )

    assert created.model_id.startswith("m-")
    assert len(created.model_id) == 34
    assert created.artifact_location == f"{experiment.artifact_location}/models/{created.model_id}/artifacts"
    assert created.model_uri == f"models:/{created.model_id}"
    assert (created.status, created.lifecycle_stage) == (LoggedModelStatus.PENDING, LifecycleStage.ACTIVE)
    assert (created.creation_timestamp, created.last_updated_timestamp) == (NOW, NOW)
    assert store.logged_models.get(created.model_id) == created


def test_names_are_made_up_and_need_not_differ(store: Store) -> None:
    unnamed = store.logged_models.create("0", now=NOW)
    first, second = (store.logged_models.create("0", name="twin", now=NOW) for _ in range(2))

    assert len(unnamed.name.split("-")) == 3
    assert first.model_id != second.model_id


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "x" * 501, "nul\0"])
def test_mlflows_forbidden_names_are_refused(sqlite_store: Store, name: str) -> None:
    with pytest.raises(InvalidInput):
        sqlite_store.logged_models.create("0", name=name, now=NOW)
    assert sqlite_store.logged_models.search(["0"]).items == ()


def test_an_experiment_must_be_there_and_active(store: Store) -> None:
    deleted = store.experiments.get_or_create("gone").experiment_id
    store.experiments.delete(deleted)

    with pytest.raises(InvalidInput, match="must be in the 'active' state"):
        store.logged_models.create(deleted, now=NOW)
    with pytest.raises(NotFound) as missing:
        store.logged_models.create("987654", now=NOW)
    assert (missing.value.kind, missing.value.key) == ("experiment", "987654")
    with pytest.raises(InvalidInput):
        store.logged_models.create("zero", now=NOW)


def test_params_are_strings_and_written_once(store: Store) -> None:
    model_id = store.logged_models.create("0", params={"depth": "6"}, now=NOW).model_id

    for _ in range(2):
        store.logged_models.log_params(model_id, {"depth": "6", "trees": "100"})
    with pytest.raises(ParamChanged) as changed:
        store.logged_models.log_params(model_id, {"new": "1", "trees": "200"})

    assert (changed.value.model_id, changed.value.key) == (model_id, "trees")
    assert (changed.value.old, changed.value.new) == ("100", "200")
    assert store.logged_models.get(model_id).params == {"depth": "6", "trees": "100"}
    with pytest.raises(InvalidInput):
        store.logged_models.log_params(model_id, {"depth": 6})  # type: ignore[dict-item]


def test_params_and_tags_keep_long_values_whole(store: Store) -> None:
    long = "ä" * 60_000
    model_id = store.logged_models.create("0", params={"schema": long}, tags={"note": long}, now=NOW).model_id

    found = store.logged_models.get(model_id)

    assert found.params["schema"] == long
    assert found.tags["note"] == long


def test_tags_change_and_go(store: Store) -> None:
    model_id = store.logged_models.create("0", tags={"team": "red", "stays": "1"}, now=NOW).model_id

    for _ in range(2):
        store.logged_models.set_tags(model_id, {"team": "blue", "new": ""})
    store.logged_models.set_tags(model_id, {})
    assert store.logged_models.get(model_id).tags == {"team": "blue", "stays": "1", "new": ""}

    store.logged_models.delete_tag(model_id, "team")
    assert store.logged_models.get(model_id).tags == {"stays": "1", "new": ""}
    with pytest.raises(NotFound, match=f"No tag with key 'team' found for model with ID '{model_id}'") as missing:
        store.logged_models.delete_tag(model_id, "team")
    assert (missing.value.kind, missing.value.key, missing.value.model_id) == ("logged model tag", "team", model_id)


def test_a_model_may_be_finalized_again(store: Store) -> None:
    model_id = store.logged_models.create("0", now=NOW).model_id

    failed = store.logged_models.finalize(model_id, LoggedModelStatus.FAILED, "no space left", now=NOW + 1)
    ready = store.logged_models.finalize(model_id, LoggedModelStatus.READY, artifact_digest="f" * 64, now=NOW + 2)
    again = store.logged_models.finalize(model_id, LoggedModelStatus.READY, now=NOW + 3)

    assert (failed.status, failed.status_message) == (LoggedModelStatus.FAILED, "no space left")
    assert (ready.status, ready.status_message, ready.artifact_digest) == (LoggedModelStatus.READY, None, "f" * 64)
    assert (again.artifact_digest, again.last_updated_timestamp) == ("f" * 64, NOW + 3)
    with pytest.raises(NotFound):
        store.logged_models.finalize("m-unknown", LoggedModelStatus.READY, now=NOW)


def test_metrics_keep_every_point_with_its_run_and_dataset(store: Store) -> None:
    model_id = store.logged_models.create("0", now=NOW).model_id
    points = [
        Metric("f1", 0.5, 1, 0, run_id="a" * 32, dataset_name="holdout", dataset_digest="d1"),
        Metric("f1", 0.6, 1, 0, run_id="a" * 32, dataset_name="train", dataset_digest="d2"),
        Metric("f1", math.inf, 2, 1),
        Metric("f1", -math.inf, 3, 2, run_id="b" * 32),
        Metric("loss", math.nan, 4, -1),
    ]

    for _ in range(2):
        store.logged_models.log_metrics(model_id, points)

    found = store.logged_models.metrics(model_id)
    assert store.logged_models.get(model_id).metrics == found or any(math.isnan(m.value) for m in found)
    assert {metric.model_id for metric in found} == {model_id}
    described = {(m.key, str(m.value), m.timestamp, m.step, m.run_id, m.dataset_name, m.dataset_digest) for m in found}
    assert described == {
        ("f1", "0.5", 1, 0, "a" * 32, "holdout", "d1"),
        ("f1", "0.6", 1, 0, "a" * 32, "train", "d2"),
        ("f1", "inf", 2, 1, None, None, None),
        ("f1", "-inf", 3, 2, "b" * 32, None, None),
        ("loss", "nan", 4, -1, None, None, None),
    }
    assert len(found) == len(points)


def test_a_run_logs_to_the_model_it_names(store: Store) -> None:
    model_id = store.logged_models.create("0", now=NOW).model_id
    run_id = store.runs.open("0", now=NOW).info.run_id
    point = Metric("f1", 0.9, NOW, 3, model_id=model_id, dataset_name="holdout", dataset_digest="d1")

    store.runs.log_batch(run_id, metrics=[point])
    store.logged_models.log_metrics(model_id, [Metric("f1", 0.9, NOW, 3, run_id, None, "holdout", "d1")])

    (found,) = store.logged_models.metrics(model_id)
    assert (found.run_id, found.value, found.step, found.dataset_digest) == (run_id, 0.9, 3, "d1")


def test_a_deleted_model_is_gone_until_it_is_restored(store: Store) -> None:
    model_id = store.logged_models.create("0", name="forest", tags={"a": "b"}, now=NOW).model_id

    for _ in range(2):
        store.logged_models.delete(model_id, now=NOW + 1)

    for act in (
        lambda: store.logged_models.get(model_id),
        lambda: store.logged_models.metrics(model_id),
        lambda: store.logged_models.set_tags(model_id, {"a": "c"}),
        lambda: store.logged_models.delete_tag(model_id, "a"),
        lambda: store.logged_models.log_params(model_id, {"a": "b"}),
        lambda: store.logged_models.log_metrics(model_id, [Metric("f1", 1.0, 1)]),
        lambda: store.logged_models.finalize(model_id, LoggedModelStatus.READY, now=NOW),
    ):
        with pytest.raises(NotFound) as missing:
            act()
        assert (missing.value.kind, missing.value.key) == ("logged model", model_id)
    assert store.logged_models.get_many([model_id]) == ()
    assert store.logged_models.newest_by_name("0", "forest") is None

    for _ in range(2):
        store.logged_models.restore(model_id, now=NOW + 2)
    restored = store.logged_models.get(model_id)
    assert (restored.tags, restored.last_updated_timestamp) == ({"a": "b"}, NOW + 2)
    for act in (store.logged_models.delete, store.logged_models.restore):
        with pytest.raises(NotFound):
            act("m-unknown", now=NOW)


def test_many_models_come_in_the_order_asked_for(store: Store) -> None:
    ids = [store.logged_models.create("0", now=NOW + n).model_id for n in range(5)]
    asked = [ids[3], "m-unknown", ids[0], ids[3]]

    assert [model.model_id for model in store.logged_models.get_many(asked)] == [ids[3], ids[0]]
    assert store.logged_models.get_many([]) == ()


def test_an_external_model_is_ready_and_tagged(store: Store) -> None:
    model = store.logged_models.create_external_model("0", name="api", params={"a": "b"}, tags={"x": "y"}, now=NOW)

    assert model.status is LoggedModelStatus.READY
    assert model.tags == {"x": "y", EXTERNAL_TAG: "true"}
    assert store.logged_models.get(model.model_id) == model


def test_the_active_model_is_the_newest_of_its_name(store: Store) -> None:
    older = store.logged_models.create("0", name="git-abc", now=NOW)
    newer = store.logged_models.create("0", name="git-abc", now=NOW + 1)
    elsewhere = store.experiments.get_or_create("elsewhere").experiment_id

    assert store.logged_models.newest_by_name("0", "git-abc") == newer
    assert store.logged_models.get_or_create_active("0", "git-abc", now=NOW + 2) == newer
    made = store.logged_models.get_or_create_active(elsewhere, "git-abc", now=NOW + 2)
    assert made.model_id not in (older.model_id, newer.model_id)
    assert (made.status, made.tags) == (LoggedModelStatus.READY, {EXTERNAL_TAG: "true"})


def test_many_that_activate_one_name_at_once_share_one_model(store: Store) -> None:
    start = threading.Barrier(THREADS)

    def activate(_: int) -> str:
        start.wait()
        return store.logged_models.get_or_create_active("0", "shared", now=NOW).model_id

    with ThreadPoolExecutor(THREADS) as pool:
        found = set(pool.map(activate, range(THREADS)))

    assert len(found) == 1
    assert len(store.logged_models.search(["0"], "name = 'shared'").items) == 1


def test_what_runs_measured_is_found_by_them(store: Store) -> None:
    first, second = (store.logged_models.create("0", now=NOW).model_id for _ in range(2))
    on_data = {"timestamp": NOW, "dataset_name": "holdout", "dataset_digest": "feed"}
    store.logged_models.log_metrics(first, [Metric("f1", 0.9, run_id="a" * 32, **on_data)])
    store.logged_models.log_metrics(second, [Metric("f1", 0.8, run_id="a" * 32, **on_data)])
    store.logged_models.log_metrics(second, [Metric("f1", 0.7, run_id="b" * 32, **on_data)])

    measured = store.logged_models.measured_by(["a" * 32])
    assert [(m.model_id, m.value, m.dataset_digest) for m in measured] == [(first, 0.9, "feed"), (second, 0.8, "feed")]
    assert len(store.logged_models.measured_by(["a" * 32, "b" * 32])) == 3
    assert store.logged_models.measured_by([]) == ()


def test_a_promoted_model_stays_as_it_was_judged(store: Store) -> None:
    model = candidate(store)
    digest = model.artifact_digest
    changed = store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ef" * 32, now=NOW)
    assert changed.artifact_digest == "ef" * 32, "nobody has promoted it yet"
    model = store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest=digest, now=NOW)
    promote(store, model)
    promote(store, candidate(store))  # who was champion may be again

    acts = (
        lambda: store.logged_models.finalize(
            model.model_id, LoggedModelStatus.READY, artifact_digest="ef" * 32, now=NOW
        ),
        lambda: store.logged_models.finalize(model.model_id, LoggedModelStatus.FAILED, now=NOW),
        lambda: store.logged_models.delete(model.model_id, now=NOW),
        lambda: store.logged_models.require_not_promoted(model.model_id),
    )
    for act in acts:
        with pytest.raises(ModelPromoted, match="promoted to @champion of 'tumor-screening' as version 1"):
            act()
    assert store.logged_models.get(model.model_id) == model
    again = store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest=digest, now=NOW)
    assert again == model
    assert store.promotions.roll_back(MODEL, CHAMPION, actor="alice", now=NOW + DAY).to_version == 1
    store.gates.remove(MODEL, CHAMPION, now=NOW + DAY)
    store.registry.delete_model(MODEL)
    store.logged_models.delete(model.model_id, now=NOW + DAY)


def test_models_are_made_in_experiments_of_the_workspace(store_url: str, store: Store, tmp_path: Path) -> None:
    with open_store(store_url, artifact_root=str(tmp_path), settings=Settings(workspace="other")) as other:
        for make in (
            other.logged_models.create,
            lambda of, now: other.logged_models.get_or_create_active(of, "x", now=now),
        ):
            with pytest.raises(NotFound):
                make("0", now=NOW)
    assert store.logged_models.search(["0"]).items == ()
