"""Params are written once, tags over one another; both hold what MLflow allows."""

from __future__ import annotations

import pytest

from headgate.store.entities import Param, Tag
from headgate.store.errors import InvalidInput, NotFound, ParamChanged, RunNotActive
from headgate.store.store import Store


@pytest.fixture
def run_id(store: Store) -> str:
    return store.runs.open("0", name="the run").info.run_id


def test_params_are_read_back(store: Store, run_id: str) -> None:
    store.params.log(run_id, {"depth": "6", "note": "größer ≥ 😀"})
    store.params.log(run_id, [Param("rate", "0.1")])

    assert store.params.get(run_id) == {"depth": "6", "note": "größer ≥ 😀", "rate": "0.1"}
    assert store.params.get("nothing") == {}


def test_the_same_params_twice_are_stored_once(store: Store, run_id: str) -> None:
    store.params.log(run_id, {"depth": "6"})

    store.params.log(run_id, {"depth": "6", "rate": "0.1"})

    assert store.params.get(run_id) == {"depth": "6", "rate": "0.1"}


def test_changing_a_param_is_refused_and_writes_nothing(store: Store, run_id: str) -> None:
    store.params.log(run_id, {"depth": "6"})

    with pytest.raises(ParamChanged, match="Changing param values is not allowed") as raised:
        store.params.log(run_id, {"rate": "0.1", "depth": "7"})

    error = raised.value
    assert (error.run_id, error.key, error.old, error.new) == (run_id, "depth", "6", "7")
    assert store.params.get(run_id) == {"depth": "6"}


def test_params_differ_by_case_and_trailing_space(store: Store, run_id: str) -> None:
    params = {"alpha": "1", "Alpha": "2", "alpha ": "3", "alpha  ": "3"}

    store.params.log(run_id, params)
    store.params.log(run_id, params)

    assert store.params.get(run_id) == params
    with pytest.raises(ParamChanged):
        store.params.log(run_id, {"alpha": "1 "})


def test_duplicate_param_in_one_request_is_refused(store: Store, run_id: str) -> None:
    with pytest.raises(InvalidInput, match="'a' stands twice"):
        store.params.log(run_id, [Param("a", "1"), Param("b", "2"), Param("a", "1")])

    assert store.params.get(run_id) == {}


def test_long_values_are_cut_as_mlflow_does(store: Store, run_id: str) -> None:
    store.params.log(run_id, {"p": "😀" * 6001})
    store.params.log(run_id, {"p": "😀" * 6001})  # the same request again
    store.tags.set(run_id, {"t": "ü" * 8001})

    assert store.params.get(run_id) == {"p": "😀" * 6000}
    assert store.tags.get(run_id)["t"] == "ü" * 8000


@pytest.mark.parametrize("key", ["", ".", "..", "../a", "/a", "a//b", "a/", "a/./b", "a,b", "a=b", "x" * 251, None, 1])
def test_impossible_names_are_refused(sqlite_store: Store, key: str) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput, match="can't be the name of a param"):
        sqlite_store.params.log(run_id, {key: "1"})
    with pytest.raises(InvalidInput, match="can't be the name of a tag"):
        sqlite_store.tags.set(run_id, {key: "1"})

    assert sqlite_store.params.get(run_id) == {}


@pytest.mark.parametrize("value", ["nul\0", "half \ud800", None, 5])
def test_values_that_no_database_holds_are_refused(sqlite_store: Store, value: str) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput):
        sqlite_store.params.log(run_id, {"a": value})
    with pytest.raises(InvalidInput):
        sqlite_store.tags.set(run_id, {"a": value})


def test_names_with_slashes_colons_spaces_and_other_alphabets(store: Store, run_id: str) -> None:
    names = ["a/b", "a:b", "a b", "a.b-c_d", "größe", "x" * 250]

    store.params.log(run_id, dict.fromkeys(names, "1"))

    assert sorted(store.params.get(run_id)) == sorted(names)


def test_tags_are_set_over(store: Store, run_id: str) -> None:
    store.tags.set(run_id, {"stage": "draft", "owner": "ann"})
    store.tags.set(run_id, [Tag("stage", "candidate"), Tag("stage", "final")])

    assert store.tags.get(run_id) == {"stage": "final", "owner": "ann", "mlflow.runName": "the run"}


def test_tags_are_deleted_once(store: Store, run_id: str) -> None:
    store.tags.set(run_id, {"stage": "draft"})

    store.tags.delete(run_id, "stage")

    assert "stage" not in store.tags.get(run_id)
    with pytest.raises(NotFound, match="has no tag 'stage'"):
        store.tags.delete(run_id, "stage")


def test_tags_that_are_attributes_set_the_attribute(store: Store, run_id: str) -> None:
    parent = store.runs.open("0").info.run_id

    store.tags.set(run_id, {"mlflow.runName": "other", "mlflow.user": "ann", "mlflow.parentRunId": parent})
    info = store.runs.get_info(run_id)
    assert (info.name, info.user_id, info.parent_run_id) == ("other", "ann", parent)

    store.tags.delete(run_id, "mlflow.parentRunId")
    assert store.runs.get_info(run_id).parent_run_id is None


def test_parent_tag_may_name_a_run_that_does_not_exist(store: Store, run_id: str) -> None:
    store.tags.set(run_id, {"mlflow.parentRunId": "elsewhere"})

    assert store.runs.get(run_id).tags["mlflow.parentRunId"] == "elsewhere"
    assert store.runs.get_info(run_id).parent_run_id is None


def test_run_name_has_a_limit_as_tag_too(store: Store, run_id: str) -> None:
    with pytest.raises(InvalidInput, match="name of the run"):
        store.tags.set(run_id, {"mlflow.runName": "x" * 251, "a": "b"})

    assert store.tags.get(run_id) == {"mlflow.runName": "the run"}


def test_runs_that_take_no_writes(store: Store, run_id: str) -> None:
    store.runs.delete(run_id)

    for write in (
        lambda: store.params.log(run_id, {"a": "1"}),
        lambda: store.tags.set(run_id, {"a": "1"}),
        lambda: store.tags.delete(run_id, "mlflow.runName"),
    ):
        with pytest.raises(RunNotActive, match="is deleted"):
            write()
    with pytest.raises(NotFound):
        store.params.log("nothing", {"a": "1"})
    with pytest.raises(NotFound):
        store.tags.set("nothing", {"a": "1"})
