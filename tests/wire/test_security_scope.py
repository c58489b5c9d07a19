"""The process of a project run writes in its own experiment and nowhere else, whatever it names in its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from headgate.store.entities import LoggedModelStatus, Metric
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.validation import EVALUATION_KEY_TAG, VALIDATION_TAG
from headgate.wire import Security
from headgate.wire.credentials import OneSecret
from headgate.wire.endpoints import all_routes
from headgate.wire.principal import Principal, Role
from tests.store.promotion_cases import promote
from tests.wire.conftest import PATIENCE, ServedStore

NOW = 1_790_000_000_000
API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts"


@dataclass(frozen=True)
class Place:
    """An experiment with a run, a LoggedModel and a model version in it."""

    experiment: str
    run: str
    model: str
    version: str
    folder: str


@dataclass(frozen=True)
class World:
    """What the process of a run in ``own`` can reach."""

    store: Store
    url: str
    own: Place
    other: Place

    def ask(self, method: str, path: str, body: Any) -> requests.Response:
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        headers = {"Authorization": "Bearer secret"}
        return requests.request(method, self.url + path, headers=headers, timeout=PATIENCE, **sent)


def _place(store: Store, name: str) -> Place:
    experiment = store.experiments.create(name)
    run = store.runs.open(experiment.experiment_id, now=NOW).info.run_id
    model = store.logged_models.create(experiment.experiment_id, source_run_id=run, tags={"a": "1"}, now=NOW)
    version = store.registry.create_version(
        "shared", model.artifact_location, run_id=run, model_id=model.model_id, now=NOW
    )
    folder = experiment.artifact_location.removeprefix(store.artifact_root).strip("/")
    return Place(experiment.experiment_id, run, model.model_id, str(version.version), folder)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url, root = f"sqlite:///{tmp_path}/headgate.db", str(tmp_path / "artifacts")
    with open_store(url, artifact_root=root, settings=Settings()) as store:
        store.registry.create_model("shared", now=NOW)
        own, other = _place(store, "own"), _place(store, "other")
        principal = Principal("runner", Role.WRITE, run_id=own.run, experiment_id=own.experiment)
        with ServedStore(store, Security(OneSecret("secret", principal))) as served:
            yield World(store, served.url, own, other)


def _metric(**more: Any) -> dict[str, Any]:
    return {"key": "m", "value": 1.0, "timestamp": NOW, "step": 0, **more}


def _dataset() -> dict[str, str]:
    return {"name": "d", "digest": "1", "source_type": "local", "source": "{}"}


Request = tuple[str, str, Any]
# Each writing route a run's process may call, aimed at a place. What names two things is aimed by each of them.
CASES: dict[str, Callable[[Place, Place], Request]] = {
    "create a run": lambda at, _: ("POST", f"{API}/runs/create", {"experiment_id": at.experiment}),
    "nest a run": lambda at, own: (
        "POST",
        f"{API}/runs/create",
        {"experiment_id": own.experiment, "tags": [{"key": "mlflow.parentRunId", "value": at.run}]},
    ),
    "update a run": lambda at, _: ("POST", f"{API}/runs/update", {"run_id": at.run, "run_name": "new"}),
    "log a metric": lambda at, _: ("POST", f"{API}/runs/log-metric", {"run_id": at.run, **_metric()}),
    "log a metric of a model": lambda at, own: (
        "POST",
        f"{API}/runs/log-metric",
        {"run_id": own.run, **_metric(model_id=at.model)},
    ),
    "log a param": lambda at, _: ("POST", f"{API}/runs/log-parameter", {"run_id": at.run, "key": "a", "value": "b"}),
    "log a batch": lambda at, _: ("POST", f"{API}/runs/log-batch", {"run_id": at.run, "metrics": [_metric()]}),
    "log a batch of a model": lambda at, own: (
        "POST",
        f"{API}/runs/log-batch",
        {"run_id": own.run, "metrics": [_metric(), _metric(model_id=at.model)]},
    ),
    "set a tag": lambda at, _: ("POST", f"{API}/runs/set-tag", {"run_id": at.run, "key": "a", "value": "b"}),
    "delete a tag": lambda at, _: ("POST", f"{API}/runs/delete-tag", {"run_id": at.run, "key": "mlflow.runName"}),
    "note a model": lambda at, _: (
        "POST",
        f"{API}/runs/log-model",
        {
            "run_id": at.run,
            "model_json": '{"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": "r"}',
        },
    ),
    "log an input": lambda at, _: (
        "POST",
        f"{API}/runs/log-inputs",
        {"run_id": at.run, "datasets": [{"dataset": _dataset()}]},
    ),
    "log an output": lambda at, own: (
        "POST",
        f"{API}/runs/outputs",
        {"run_id": at.run, "models": [{"model_id": own.model, "step": 0}]},
    ),
    "log another's output": lambda at, own: (
        "POST",
        f"{API}/runs/outputs",
        {"run_id": own.run, "models": [{"model_id": at.model, "step": 0}]},
    ),
    "create a model": lambda at, _: ("POST", f"{API}/logged-models", {"experiment_id": at.experiment}),
    "create a model of a run": lambda at, own: (
        "POST",
        f"{API}/logged-models",
        {"experiment_id": own.experiment, "source_run_id": at.run},
    ),
    "finalize a model": lambda at, _: (
        "PATCH",
        f"{API}/logged-models/{at.model}",
        {"model_id": at.model, "status": "LOGGED_MODEL_UPLOAD_FAILED"},
    ),
    "log params of a model": lambda at, _: (
        "POST",
        f"{API}/logged-models/{at.model}/params",
        {"params": [{"key": "a", "value": "b"}]},
    ),
    "tag a model": lambda at, _: (
        "PATCH",
        f"{API}/logged-models/{at.model}/tags",
        {"tags": [{"key": "a", "value": "b"}]},
    ),
    "delete a tag of a model": lambda at, _: ("DELETE", f"{API}/logged-models/{at.model}/tags/a", {}),
    "tag a version": lambda at, _: (
        "POST",
        f"{API}/model-versions/set-tag",
        {"name": "shared", "version": at.version, "key": "a", "value": "b"},
    ),
    "upload": lambda at, _: ("PUT", f"{ARTIFACTS}/artifacts/{at.folder}/{at.run}/artifacts/f", b"data"),
    "open an upload": lambda at, _: (
        "POST",
        f"{ARTIFACTS}/mpu/create/{at.folder}/{at.run}/artifacts",
        {"path": "f", "num_parts": 1},
    ),
    "complete an upload": lambda at, _: (
        "POST",
        f"{ARTIFACTS}/mpu/complete/{at.folder}/{at.run}/artifacts",
        {"path": "f", "upload_id": "1", "parts": [{"part_number": 1, "etag": "e"}]},
    ),
    "abort an upload": lambda at, _: (
        "POST",
        f"{ARTIFACTS}/mpu/abort/{at.folder}/{at.run}/artifacts",
        {"path": "f", "upload_id": "1"},
    ),
    "sign an upload": lambda at, _: (
        "POST",
        f"{API}/artifacts/presigned-upload-url",
        {"run_id": at.run, "path": "f"},
    ),
    "sign an upload of a model": lambda at, _: (
        "POST",
        f"{API}/artifacts/presigned-upload-url",
        {"model_id": at.model, "path": "f"},
    ),
}
# They belong to no experiment: a script registers what it made.
REGISTERS = {
    ("POST", f"{API}/registered-models/create"),
    ("POST", f"{API}/model-versions/create"),
}
NEEDS_S3 = {"open an upload", "complete an upload", "abort an upload", "sign an upload", "sign an upload of a model"}


@pytest.mark.parametrize("case", CASES)
def test_it_writes_in_its_experiment_and_in_no_other(world: World, case: str) -> None:
    before = _seen(world.store, world.other)

    refused = world.ask(*CASES[case](world.other, world.own))

    assert refused.status_code == 403, refused.text
    assert refused.json()["error_code"] == "PERMISSION_DENIED"
    assert _seen(world.store, world.other) == before
    allowed = world.ask(*CASES[case](world.own, world.own))
    assert allowed.status_code == (501 if case in NEEDS_S3 else 200), allowed.text


def test_a_model_that_another_run_has_finished_is_not_its_to_write(world: World) -> None:
    folder = f"{world.own.folder}/models/{world.own.model}/artifacts"
    put = ("PUT", f"{ARTIFACTS}/artifacts/{folder}/model.pkl", b"good")
    ready = ("PATCH", f"{API}/logged-models/{world.own.model}", {"status": "LOGGED_MODEL_READY"})
    for request in (put, ready, put, ready):  # its own: as often as it likes
        assert world.ask(*request).status_code == 200
    nested = world.store.runs.open(world.own.experiment, parent_run_id=world.own.run, now=NOW).info.run_id
    below = world.store.logged_models.create(world.own.experiment, source_run_id=nested, now=NOW).model_id
    for _ in range(2):
        assert world.ask("PATCH", f"{API}/logged-models/{below}", ready[2]).status_code == 200

    later = world.store.runs.open(world.own.experiment, now=NOW).info.run_id
    principal = Principal("later", Role.WRITE, run_id=later, experiment_id=world.own.experiment)
    with ServedStore(world.store, Security(OneSecret("secret", principal))) as served:
        theirs = replace(world, url=served.url)
        failed = (*ready[:2], {"status": "LOGGED_MODEL_UPLOAD_FAILED"})
        for request in (put, ready, failed, CASES["sign an upload of a model"](world.own, world.own)):
            refused = theirs.ask(*request)
            assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert world.store.logged_models.get(world.own.model).status == LoggedModelStatus.READY


def test_no_run_makes_itself_evidence(world: World) -> None:
    tag = {"key": VALIDATION_TAG, "value": "pass"}
    asked = [
        ("POST", f"{API}/runs/create", {"experiment_id": world.own.experiment, "tags": [tag]}),
        ("POST", f"{API}/runs/set-tag", {"run_id": world.own.run, **tag}),
        ("POST", f"{API}/runs/log-batch", {"run_id": world.own.run, "tags": [tag]}),
    ]
    before = _seen(world.store, world.own)
    for request in asked:
        refused = world.ask(*request)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED"), refused.text
    assert _seen(world.store, world.own) == before


EVIDENCE_CASES = (
    *("nest a run", "move a run below", "update a run", "log a metric", "log a batch", "set a tag", "log an input"),
    "upload",
)


@pytest.mark.parametrize("case", EVIDENCE_CASES)
def test_what_an_evaluation_found_is_its_own_to_write(world: World, case: str) -> None:
    tags = {EVALUATION_KEY_TAG: "k"}
    evaluation = world.store.runs.open(world.own.experiment, tags=tags, now=NOW).info.run_id
    if case == "move a run below":
        tag = {"key": "mlflow.parentRunId", "value": evaluation}
        request: Request = ("POST", f"{API}/runs/set-tag", {"run_id": world.own.run, **tag})
    else:
        request = CASES[case](replace(world.own, run=evaluation), world.own)

    refused = world.ask(*request)

    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED"), refused.text
    principal = Principal("runner", Role.WRITE, run_id=evaluation, experiment_id=world.own.experiment)
    with ServedStore(world.store, Security(OneSecret("secret", principal))) as served:
        assert replace(world, url=served.url).ask(*request).status_code == 200


def test_a_promoted_model_is_nobodys_to_write(world: World) -> None:
    folder = f"{world.own.folder}/models/{world.own.model}/artifacts"
    put = ("PUT", f"{ARTIFACTS}/artifacts/{folder}/model.pkl", b"good")
    ready = ("PATCH", f"{API}/logged-models/{world.own.model}", {"status": "LOGGED_MODEL_READY"})
    assert [world.ask(*request).status_code for request in (put, ready)] == [200, 200]
    promote(world.store, world.store.logged_models.get(world.own.model))
    assert world.ask(*ready).status_code == 200, "it says what is recorded"

    asked = [
        (put[0], put[1], b"evil"),
        (*ready[:2], {"status": "LOGGED_MODEL_UPLOAD_FAILED"}),
        CASES["sign an upload of a model"](world.own, world.own),
        ("DELETE", ready[1], {}),
    ]
    with ServedStore(world.store) as served:
        anybody = replace(world, url=served.url)
        for request in asked:
            refused = anybody.ask(*request)
            assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
            assert "@champion of 'tumor-screening'" in refused.json()["message"]
    (written,) = world.store.artifacts(world.store.artifact_root).list(folder)
    assert written.file_size == len(b"good")


def test_every_route_that_it_may_write_by_is_tried(world: World) -> None:
    tried = {request[:2] for request in (case(world.own, world.own) for case in CASES.values())} | REGISTERS
    places = {world.own.model: "{model_id}", f"{world.own.folder}/{world.own.run}/artifacts": "{path:path}"}

    def pattern(path: str) -> str:
        for place, name in places.items():
            path = path.replace(place, name)
        return path.replace("{path:path}/f", "{path:path}").replace("/tags/a", "/tags/{key:path}")

    assert {(method, pattern(path)) for method, path in tried} == {
        (route.method, route.path) for route in all_routes() if route.scoped and route.role is Role.WRITE
    }


def test_a_refused_batch_leaves_nothing_and_hinders_no_other_in_its_group(world: World) -> None:
    stolen = {"run_id": world.own.run, "metrics": [_metric(), _metric(model_id=world.other.model)]}

    assert world.ask("POST", f"{API}/runs/log-batch", stolen).status_code == 403
    assert world.store.runs.get(world.own.run).metrics == {}
    unknown = world.ask("POST", f"{API}/runs/log-metric", {"run_id": world.own.run, **_metric(model_id="m-none")})
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    "climbing", ["../{other}/x", "%2e%2e/{other}/x", "..%2f{other}/x", "x/../../{other}/x", "..%5c{other}%5cx"]
)
def test_no_path_leads_out_of_its_folder(world: World, climbing: str) -> None:
    path = climbing.format(other=world.other.folder)
    session = requests.Session()
    request = requests.Request("PUT", "http://x", headers={"Authorization": "Bearer secret"}, data=b"stolen").prepare()
    request.url = f"{world.url}{ARTIFACTS}/artifacts/{world.own.folder}/{path}"  # as it is, not in its shortest form

    assert session.send(request, timeout=PATIENCE).status_code in (400, 403)
    assert not world.store.artifacts(world.store.artifact_root).list("")


def test_versions_of_nobodys_are_not_its_to_tag(world: World) -> None:
    by_hand = world.store.registry.create_version("shared", "s3://elsewhere/model", now=NOW)
    body = {"name": "shared", "version": str(by_hand.version), "key": "a", "value": "b"}

    assert world.ask("POST", f"{API}/model-versions/set-tag", body).status_code == 403
    assert world.store.registry.get_version("shared", by_hand.version).tags == {}


def test_it_reads_everything(world: World) -> None:
    world.store.metrics.log(world.other.run, [Metric("m", 1.0, NOW, 0)])

    answer = world.ask("GET", f"{API}/runs/get?run_id={world.other.run}", {})

    assert answer.json()["run"]["data"]["metrics"][0]["value"] == 1.0


def _seen(store: Store, place: Place) -> tuple[Any, ...]:
    """Return all that a write into a place could have changed."""
    return (
        store.runs.search([place.experiment]).items,
        store.logged_models.search([place.experiment]).items,
        store.registry.get_version("shared", int(place.version)),
        store.artifacts(store.artifact_root).list(place.folder),
    )
