"""What no comparison with MLflow shows: guards, group commits, half-sent bodies and limits."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from mlflow import MlflowClient

from headgate.store.entities import Metric
from headgate.store.errors import NotFound, ParamChanged
from headgate.store.run_batches import RunBatch
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire.app import Limits
from headgate.wire.asgi import Exchange
from headgate.wire.endpoints import all_routes
from headgate.wire.errors import WireError
from headgate.wire.principal import ANYBODY
from headgate.wire.writer import Write, Writer
from tests.store.promotion_cases import DEFINITION
from tests.wire.conftest import PATIENCE, ServedStore

NOW = 1_700_000_000_000


def post(served: ServedStore, path: str, said: Any, method: str = "POST") -> requests.Response:
    return requests.request(method, f"{served.url}/api/2.0/mlflow/{path}", json=said, timeout=PATIENCE)


def run_of(served: ServedStore) -> str:
    return served.store.runs.open("0").info.run_id


def points(served: ServedStore, run_id: str, key: str) -> list[float]:
    return [point.value for point in served.store.metrics.history(run_id, key).items]


@pytest.fixture
def two_versions(served: ServedStore) -> ServedStore:
    """A model whose version 1 is the champion and in Production."""
    registry = served.store.registry
    registry.create_model("m", now=NOW)
    for _ in range(2):
        registry.create_version("m", "s3://bucket/model", now=NOW)
    registry.set_alias("m", "champion", 1)
    registry.transition_stage("m", 1, "Production", now=NOW)
    return served


MOVES = {
    "alias": ("@champion", "POST", "registered-models/alias", {"name": "m", "alias": "champion", "version": "2"}),
    "no alias": ("@champion", "DELETE", "registered-models/alias", {"name": "m", "alias": "champion"}),
    "stage": (
        "stage:Production",
        "POST",
        "model-versions/transition-stage",
        {"name": "m", "version": "2", "stage": "Production", "archive_existing_versions": True},
    ),
    "version": ("@champion", "DELETE", "model-versions/delete", {"name": "m", "version": "1"}),
    "model": ("@champion", "DELETE", "registered-models/delete", {"name": "m"}),
    "name": ("@champion", "POST", "registered-models/rename", {"name": "m", "new_name": "n"}),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_guarded_target_moves_by_a_promotion_only(two_versions: ServedStore, move: str) -> None:
    target, method, path, said = MOVES[move]
    store = two_versions.store
    store.gates.set("m", target, DEFINITION, now=NOW)
    before = store.registry.get_model("m"), store.registry.search_versions().items

    answer = post(two_versions, path, said, method)

    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert DEFINITION["name"] in answer.json()["message"]
    assert (store.registry.get_model("m"), store.registry.search_versions().items) == before
    store.gates.remove("m", target, now=NOW)
    assert post(two_versions, path, said, method).status_code == 200


def test_stage_rules_hold_for_clients_too(two_versions: ServedStore) -> None:
    store = two_versions.store
    store.stages.set("m", now=NOW)

    def go(version: str, stage: str, **more: Any) -> tuple[int, str]:
        said = {"name": "m", "version": version, "stage": stage, **more}
        answer = post(two_versions, "model-versions/transition-stage", said)
        return answer.status_code, answer.json().get("error_code", "")

    assert go("2", "Production") == (403, "PERMISSION_DENIED")  # it would jump a stage
    assert go("2", "Staging") == (200, "")
    assert go("2", "Production") == (403, "PERMISSION_DENIED")  # it would be the second one there
    assert go("2", "Production", archive_existing_versions=True) == (200, "")
    assert store.registry.get_version("m", 1).current_stage == "Archived"


def test_a_bad_batch_in_a_group_refuses_only_itself(served: ServedStore) -> None:
    good = [run_of(served) for _ in range(3)]
    served.store.params.log(good[0], {"p": "1"})
    batches = [
        *(RunBatch.of(run, metrics=[Metric("m", 1.0, 1)]) for run in good),
        RunBatch.of("0" * 32, metrics=[Metric("m", 1.0, 1)]),
        RunBatch.of(good[0], params={"p": "2"}, metrics=[Metric("n", 1.0, 1)]),
        RunBatch.of(good[1], params={"p": "3"}),
    ]

    outcomes, groups = asyncio.run(written_together(served.store, batches))

    assert max(groups) >= len(batches) - 1, "all but the first, at least, were committed together"
    assert [type(outcome) for outcome in outcomes] == [NoneType, NoneType, NoneType, NotFound, ParamChanged, NoneType]
    assert [points(served, run, "m") for run in good] == [[1.0]] * 3
    assert points(served, good[0], "n") == [], "a batch is written whole or not at all"
    assert served.store.runs.get(good[0]).params["p"] == "1"
    assert served.store.runs.get(good[1]).params["p"] == "3"


async def written_together(store: Store, batches: Sequence[RunBatch]) -> tuple[list[Any], list[int]]:
    """Submit batches while the writer is held up by the first; return their outcomes and the sizes of the groups."""
    held, groups, log_batches = threading.Event(), [], store.runs.log_batches

    class HeldUp:
        database = SimpleNamespace(commits_at_once=False)

        class runs:
            @staticmethod
            def log_batches(group: Sequence[RunBatch], *, wait: bool) -> Any:
                assert wait
                groups.append(len(group))
                held.wait(120)
                return log_batches(group)

    writer = Writer(HeldUp)  # type: ignore[arg-type]
    submitted = [asyncio.ensure_future(writer.submit(Write(batch, ANYBODY))) for batch in batches]
    asyncio.get_running_loop().call_soon(held.set)  # after each has been put in the queue
    try:
        return list(await asyncio.gather(*submitted, return_exceptions=True)), groups
    finally:
        await asyncio.to_thread(writer.close)


def test_a_repeated_batch_doubles_nothing(served: ServedStore) -> None:
    run = run_of(served)
    batch = {
        "run_id": run,
        "metrics": [{"key": "m", "value": n / 3, "timestamp": n, "step": n} for n in range(50)],
        "params": [{"key": "p", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}],
    }
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(served, "runs/log-batch", batch).status_code, range(8)))
    assert answers == [200] * 8
    assert points(served, run, "m") == [n / 3 for n in range(50)]


@pytest.mark.parametrize("path", ["runs/log-batch", "runs/create", "runs/update"])
def test_a_client_that_goes_away_half_way_writes_nothing(served: ServedStore, path: str) -> None:
    run = run_of(served)
    before = len(served.store.runs.search(["0"]).items)
    said = {"run_id": run, "experiment_id": "0", "run_name": "half", "tags": [{"key": "half", "value": "x" * 100_000}]}
    body = json.dumps(said).encode()
    place = urlsplit(served.url)
    with socket.create_connection((str(place.hostname), int(place.port or 0))) as connection:
        head = f"POST /api/2.0/mlflow/{path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-10])
    assert post(served, "runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1}).status_code == 200
    found = served.store.runs.get(run)
    assert "half" not in found.tags
    assert found.info.name != "half"
    assert len(served.store.runs.search(["0"]).items) == before


def test_an_upload_that_stops_half_way_leaves_no_file(sqlite_served: ServedStore) -> None:
    place = urlsplit(sqlite_served.url)
    path = "/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/model.bin"
    with socket.create_connection((str(place.hostname), int(place.port or 0))) as connection:
        head = f"PUT {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 500_000)
    assert requests.get(f"{sqlite_served.url}{path}", timeout=PATIENCE).status_code == 404
    assert sqlite_served.store.artifacts(sqlite_served.store.artifact_root).list(recursive=True) == ()


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    """A store whose server takes bodies of 1,000 bytes."""
    url, root = f"sqlite:///{tmp_path}/h.db", str(tmp_path / "a")
    with (
        open_store(url, artifact_root=root, settings=Settings()) as store,
        ServedStore(store, limits=Limits(body_bytes=1000)) as serving,
    ):
        yield store, serving.url


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(narrow: tuple[Store, str], chunked: bool) -> None:
    store, url = narrow
    run = store.runs.open("0").info.run_id
    body = json.dumps({"run_id": run, "tags": [{"key": "t", "value": "x" * 2000}]}).encode()
    data: Any = iter([body[:700], body[700:]]) if chunked else body
    answer = requests.post(f"{url}/api/2.0/mlflow/runs/log-batch", data=data, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "longer than 1000 bytes" in answer.json()["message"]
    assert "t" not in store.runs.get(run).tags


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 11, b""], [b"x" * 6, b"x" * 5], [b"", b"x" * 11, b""]])
def test_a_body_is_measured_however_it_comes_in(pieces: list[bytes]) -> None:
    def exchange(pieces: Sequence[bytes]) -> Exchange:
        last = len(pieces) - 1
        messages = iter([{"type": "http.request", "body": b, "more_body": n < last} for n, b in enumerate(pieces)])

        async def receive() -> Any:
            return next(messages)

        async def send(_: Any) -> None:
            raise AssertionError("nothing is answered here")

        return Exchange(receive, send, {})

    with pytest.raises(WireError, match="longer than 10 bytes"):
        asyncio.run(exchange(pieces).body(10))
    assert asyncio.run(exchange(pieces).body(11)) == b"x" * 11


def test_what_is_not_there_is_never_retried(sqlite_served: ServedStore) -> None:
    for method, path in (
        ("POST", "/v1/traces"),
        ("POST", "/api/3.0/mlflow/traces"),
        ("GET", "/api/3.0/mlflow/traces/tr-1/assessments/a"),
        ("POST", "/api/3.0/mlflow/datasets/create"),
        ("POST", "/api/3.0/mlflow/scorers/register"),
        ("GET", "/api/2.0/mlflow/webhooks"),
        ("DELETE", "/api/2.0/mlflow/runs/create"),
        ("GET", "/"),
    ):
        answer = requests.request(method, f"{sqlite_served.url}{path}", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND"), path


def test_no_route_fails_on_an_empty_or_a_nonsensical_request(sqlite_served: ServedStore) -> None:
    nonsense = b'{"name": {}, "run_id": [], "path": 3, "metrics": 4, "filter": 5}'
    for route in all_routes():
        path = route.path.replace("{path:path}", "a/b").replace("{key:path}", "k").replace("{model_id}", "m-1")
        for body in (b"", b"{}", b"[1]", nonsense, b"\xff\xfe"):
            answer = requests.request(route.method, f"{sqlite_served.url}{path}", data=body, timeout=PATIENCE)
            assert answer.status_code < 500 or answer.status_code == 501, (route.method, path, body, answer.text)


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


DEEP = "[" * 100_000
ENDLESS = "9" * 5_000


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "model-versions/get", {"name": "m", "version": ENDLESS}),
        ("POST", "model-versions/create", {"name": "m", "source": f"models:/m/{ENDLESS}"}),
        ("POST", "runs/log-model", {"run_id": "r", "model_json": DEEP}),
        ("GET", "metrics/get-history", {"metric_key": "m", "page_token": token("[1e999, 0, 0, false]")}),
        ("GET", "metrics/get-history", {"metric_key": "m", "page_token": token(f"[{2**70}, 0, 0.0, false]")}),
        ("GET", "metrics/get-history", {"metric_key": "m", "page_token": token(DEEP)}),
    ],
)
def test_numbers_and_texts_without_measure_are_refused(
    sqlite_served: ServedStore, method: str, path: str, said: dict[str, str]
) -> None:
    sqlite_served.store.registry.create_model("m", now=NOW)
    run = run_of(sqlite_served)
    sqlite_served.store.metrics.log(run, [Metric("m", 1.0, NOW)])
    sent = {"params" if method == "GET" else "json": {"run_id": run, **said} if "run_id" not in said else said}
    url = f"{sqlite_served.url}/api/2.0/mlflow/{path}"

    answer = requests.request(method, url, timeout=PATIENCE, **sent)

    assert answer.status_code in (400, 404), answer.text


def test_a_parent_that_nobody_knows_is_only_a_tag(sqlite_served: ServedStore) -> None:
    client = MlflowClient(sqlite_served.url)

    run = client.create_run("0", tags={"mlflow.parentRunId": "of another server"})

    assert client.get_run(run.info.run_id).data.tags["mlflow.parentRunId"] == "of another server"
    assert sqlite_served.store.runs.get_info(run.info.run_id).parent_run_id is None


def test_models_noted_by_old_clients_stay_readable_however_many(sqlite_served: ServedStore) -> None:
    run = run_of(sqlite_served)
    for number in range(30):
        said = {"artifact_path": str(number), "flavors": {"x": "y" * 500}, "utc_time_created": "now", "run_id": run}
        body = {"run_id": run, "model_json": json.dumps(said)}
        url = f"{sqlite_served.url}/api/2.0/mlflow/runs/log-model"
        assert requests.post(url, json=body, timeout=PATIENCE).status_code == 200

    noted = json.loads(sqlite_served.store.runs.get(run).tags["mlflow.log-model.history"])
    assert noted[-1]["artifact_path"] == "29"
    assert len(noted) > 10


def test_an_encoded_percent_sign_in_a_path_stays_one(sqlite_served: ServedStore) -> None:
    url = f"{sqlite_served.url}/api/2.0/mlflow-artifacts/artifacts"
    requests.put(f"{url}/a%2520b", data=b"with a percent sign", timeout=PATIENCE)
    requests.put(f"{url}/a%20b", data=b"with a space", timeout=PATIENCE)

    listed = sqlite_served.store.artifacts(sqlite_served.store.artifact_root).list("")
    assert [file.path for file in listed] == ["a b", "a%20b"]


def test_the_writer_finishes_what_it_took_and_takes_no_more(sqlite_served: ServedStore) -> None:
    run = run_of(sqlite_served)
    batches = [RunBatch.of(run, metrics=[Metric("m", float(n), n)]) for n in range(20)]

    async def close_at_once() -> list[Any]:
        writer = Writer(sqlite_served.store)
        submitted = [asyncio.ensure_future(writer.submit(Write(batch, ANYBODY))) for batch in batches]
        await asyncio.sleep(0)
        await asyncio.to_thread(writer.close)
        late = asyncio.ensure_future(writer.submit(Write(batches[0], ANYBODY)))
        return await asyncio.gather(*submitted, late, return_exceptions=True)

    *outcomes, late = asyncio.run(close_at_once())

    assert outcomes == [None] * 20
    assert points(sqlite_served, run, "m") == [float(n) for n in range(20)]
    assert isinstance(late, WireError)
    assert late.status == 503
