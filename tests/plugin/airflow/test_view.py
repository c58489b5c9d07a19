"""The pages in Airflow's API server: every address asked anonymously, without the right to the DAG, and with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from headgate.airflow.tabs import PREFIX, external_views
from headgate.server.pages.site import ADDRESSES, Belongs
from headgate.store import open_store
from tests.plugin.server.pages.world import DAG, MODEL, Training, train

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from httpx import Response

    from headgate.store.store import Store

# Airflow's server and its libraries are imported by fixtures: what they warn of must not end the collection of tests.
ROUTES = [*(address.path for address in ADDRESSES), "/static/headgate.css", "/static/theme.js", "/{rest:path}"]
SECRET = "secret_dag"
SECRET_MODEL = "secret-model"
PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


class World:
    """A store with a training of a DAG that the restricted user may read, and one of a DAG that they may not."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open = train(store, 1, sweep=1)
        self.secret = train(store, 2, sweep=1, dag=SECRET, model_name=SECRET_MODEL, run_id="secret+run")
        prefect = train(store, 3, sweep=1, dag="flow", model_name="other")
        self.elsewhere = prefect

    def addresses(self, path: str, training: Training, dag: str, model: str) -> str:
        """Return a path of a route with what one training recorded in the place of its parameters."""
        values = {
            "name": model,
            "version": "1",
            "model_id": training.models[0].model_id,
            "run_id": training.evaluate.info.run_id,
            "verdict_id": training.verdict.verdict_id,
            "origin": "airflow",
            "pipeline": dag,
            "pipeline_run_id": training.run_id,
            "task": "evaluate",
            "map_index": "-1",
            "rest": "no/such/page",
        }
        filled = PARAMETER.sub(lambda match: quote(values[match[1]], safe=""), path)
        return f"{filled}?subject={training.verdict.verdict_id}" if path == "/lineage" else filled


@pytest.fixture(scope="module")
def server(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, World]]:
    """Airflow's API server with the plugin, and a store with something for every page."""
    from airflow.api_fastapi import app as airflow_app

    from headgate.airflow import view
    from tests.plugin.airflow.auth_managers import DagByDagAuthManager

    folder: Path = tmp_path_factory.mktemp("view")
    with pytest.MonkeyPatch.context() as patch:
        url = f"sqlite:///{folder}/headgate.db"
        patch.setenv("HEADGATE_STORE_URL", url)
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", f"{DagByDagAuthManager.__module__}.{DagByDagAuthManager.__name__}")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(folder / "passwords.json"))
        patch.setattr(airflow_app._AuthManagerState, "instance", None)
        with open_store(url) as store:
            yield airflow_app.create_app(apps="core"), World(store)
        view._store.close()


@pytest.fixture
def opened(server: tuple[FastAPI, World], monkeypatch: pytest.MonkeyPatch) -> World:
    """The world; the server opens its store by the environment, which other fixtures empty between tests."""
    monkeypatch.setenv("HEADGATE_STORE_URL", server[1].store.url)
    return server[1]


@pytest.fixture
def anonymous(server: tuple[FastAPI, World], opened: World) -> TestClient:
    return client_of(server[0])


def client_of(application: FastAPI) -> TestClient:
    from fastapi.testclient import TestClient

    return TestClient(application, raise_server_exceptions=False, follow_redirects=False)


def signed_in(server: tuple[FastAPI, World], name: str, role: str = "viewer", *, cookie: bool = False) -> TestClient:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
    client = client_of(server[0])
    if cookie:
        client.cookies.set("_token", token)
    else:
        client.headers["Authorization"] = f"Bearer {token}"
    return client


@pytest.fixture
def viewer(server: tuple[FastAPI, World], opened: World) -> TestClient:
    return signed_in(server, "vera")


@pytest.fixture
def restricted(server: tuple[FastAPI, World], opened: World) -> TestClient:
    """Somebody who may read one DAG."""
    return signed_in(server, f"dags:{DAG}")


def test_the_application_answers_at_these_paths_only() -> None:
    from headgate.airflow import view

    assert sorted(route.path for route in view.app.routes) == sorted(ROUTES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_refuses_who_is_not_signed_in(path: str, anonymous: TestClient, opened: World) -> None:
    address = opened.addresses(path, opened.open, DAG, MODEL)
    for header in ({}, {"Authorization": "Bearer forged"}, {"Cookie": "_token=forged"}):
        answer = anonymous.get(PREFIX + address, headers=header)
        assert answer.status_code in (401, 403), (address, answer.text)
        says_nothing_of(answer, DAG, MODEL)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
def test_there_is_no_documentation_for_strangers(path: str, anonymous: TestClient, viewer: TestClient) -> None:
    assert anonymous.get(PREFIX + path).status_code == 401
    assert viewer.get(PREFIX + path).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_changed(method: str, viewer: TestClient) -> None:
    assert getattr(viewer, method)(f"{PREFIX}/models").status_code in (404, 405)


@pytest.mark.parametrize("path", [address.path for address in ADDRESSES])
def test_a_viewer_reads_every_page(path: str, viewer: TestClient, opened: World) -> None:
    for training, dag, model in ((opened.open, DAG, MODEL), (opened.secret, SECRET, SECRET_MODEL)):
        answer = viewer.get(PREFIX + opened.addresses(path, training, dag, model))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.path)
def test_the_right_to_a_dag_is_the_right_to_its_pages(address: object, restricted: TestClient, opened: World) -> None:
    path, belongs = address.path, address.belongs  # type: ignore[attr-defined]
    own = restricted.get(PREFIX + opened.addresses(path, opened.open, DAG, MODEL))
    other = restricted.get(PREFIX + opened.addresses(path, opened.secret, SECRET, SECRET_MODEL))

    assert own.status_code == 200, own.text
    if belongs is Belongs.REGISTRY:
        assert other.status_code == 200
    else:
        assert other.status_code == 403
        says_nothing_of(other, SECRET, SECRET_MODEL, opened.secret.run_id)
    for answer in (own, other):
        says_nothing_of(answer, "abc2", "holdout scores", opened.secret.parent.info.run_id, "recall is 0.97 in secret")


def test_the_registry_shows_what_a_secret_dag_promoted_and_not_what_it_recorded(
    restricted: TestClient, viewer: TestClient, opened: World
) -> None:
    path = f"{PREFIX}/models/{SECRET_MODEL}/versions/1"
    secret, whole = restricted.get(path), viewer.get(path)

    assert "n_estimators" in whole.text
    assert "recall &gt;= 0.9" in whole.text
    assert "n_estimators" not in secret.text
    assert "recall &gt;= 0.9" not in secret.text
    assert opened.secret.fits[0].info.artifact_uri not in secret.text
    assert "weekly retraining" in secret.text


def test_the_lineage_keeps_a_place_for_what_the_user_may_not_read(
    restricted: TestClient, viewer: TestClient, opened: World
) -> None:
    path = f"{PREFIX}/lineage?subject={quote(f'models:/{SECRET_MODEL}@champion', safe='')}"
    secret, whole = restricted.get(path), viewer.get(path)

    assert secret.status_code == whole.status_code == 200
    assert "not yours to read" in secret.text
    assert "not yours to read" not in whole.text
    for word in (opened.secret.evaluate.info.run_id, opened.secret.models[0].model_id, "prepare", "forest", SECRET):
        assert word in whole.text
        assert word not in secret.text.replace(f"airflow:{SECRET}", ""), word


def test_a_run_within_a_run_of_a_secret_dag_is_secret(
    restricted: TestClient, viewer: TestClient, opened: World
) -> None:
    nested = opened.store.runs.open("0", parent_run_id=opened.secret.evaluate.info.run_id).info.run_id
    assert restricted.get(f"{PREFIX}/runs/{nested}").status_code == 403
    assert viewer.get(f"{PREFIX}/runs/{nested}").status_code == 200


@pytest.mark.parametrize(
    "trick", ["secret%255Fdag", "secret%5Fdag", "sec%72et_dag", "sec%2572et_dag", "x/../secret_dag"]
)
def test_another_spelling_of_a_secret_dag_opens_nothing(trick: str, restricted: TestClient, opened: World) -> None:
    answer = restricted.get(f"{PREFIX}/pipelines/airflow/{trick}")
    assert answer.status_code in (403, 404)
    says_nothing_of(answer, opened.secret.run_id)


def test_a_query_can_not_name_another_dag_than_the_path(restricted: TestClient, opened: World) -> None:
    for name in ("dag_id", "pipeline"):
        answer = restricted.get(f"{PREFIX}/pipelines/airflow/{SECRET}?{name}={DAG}")
        assert answer.status_code == 403


def test_who_may_read_no_assets_sees_no_registry(server: tuple[FastAPI, World], opened: World) -> None:
    client = signed_in(server, "no assets")
    for address in ADDRESSES:
        answer = client.get(PREFIX + opened.addresses(address.path, opened.open, DAG, MODEL))
        assert answer.status_code == (200 if address.belongs is Belongs.PIPELINE else 403), address.path


def test_a_user_without_a_role_sees_nothing(server: tuple[FastAPI, World], opened: World) -> None:
    client = signed_in(server, "nobody", role="")
    for address in ADDRESSES:
        assert client.get(PREFIX + opened.addresses(address.path, opened.open, DAG, MODEL)).status_code == 403


def test_the_cookie_of_airflows_pages_is_enough(server: tuple[FastAPI, World], opened: World) -> None:
    client = signed_in(server, "vera", cookie=True)
    assert client.get(f"{PREFIX}/models").status_code == 200
    style = client.get(f"{PREFIX}/static/headgate.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    script = client.get(f"{PREFIX}/static/theme.js")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")


def test_the_tabs_lead_to_pages(viewer: TestClient, opened: World) -> None:
    values = {"DAG_ID": DAG, "RUN_ID": opened.open.run_id, "TASK_ID": "train", "MAP_INDEX": "0"}
    shown = {}
    for tab in external_views():
        href = re.sub(r"\{(\w+)\}", lambda match: quote(values[match[1]], safe=""), tab["href"])
        answer = viewer.get(f"/{href}")
        assert answer.status_code == 200, href
        shown[tab["destination"]] = re.search(r"<h1>(.*?)</h1>", answer.text, re.DOTALL)[1]  # type: ignore[index]
    assert shown["nav"].startswith("In production")
    assert shown["dag"].startswith(DAG)
    assert shown["dag_run"].startswith(opened.open.run_id)
    assert shown["task"].startswith("train")
    assert shown["task_instance"].startswith("train [0]")


def test_a_task_that_is_not_mapped_has_its_tab_in_spite_of_the_literal_name(viewer: TestClient, opened: World) -> None:
    base = f"{PREFIX}/pipelines/airflow/{DAG}/runs/{quote(opened.open.run_id, safe='')}/tasks"
    assert "<h1>evaluate" in viewer.get(f"{base}/evaluate/%7BMAP_INDEX%7D").text
    whole = viewer.get(f"{base}/train/%7BMAP_INDEX%7D")
    assert "Its runs in" in whole.text
    assert "No Headgate runs here yet" in viewer.get(f"{base}/unknown/%7BMAP_INDEX%7D").text


@pytest.mark.parametrize(
    ("returned", "verdict_shown"),
    [
        ('{"__classname__": "decimal.Decimal", "__version__": 1, "__data__": "1"}', False),
        ({"__classname__": "no.such.Class", "__version__": 1, "__data__": {}}, False),
        (["v-1"], False),
        ("verdict", True),
    ],
)
def test_what_a_task_returned_is_not_made_an_object_of(
    viewer: TestClient, opened: World, returned: object, verdict_shown: bool
) -> None:
    from airflow.models.xcom import XComModel
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG as AirflowDag

    from tests.plugin.airflow.candidates import new_name
    from tests.plugin.airflow.dag_runs import create_dag_run

    with AirflowDag(new_name("returns"), schedule=None) as dag:
        EmptyOperator(task_id="decide")
    create_dag_run(dag, "manual__1")
    verdict = opened.open.verdict
    value = {"verdict_id": verdict.verdict_id} if returned == "verdict" else returned
    XComModel.set(
        key="return_value", value=value, dag_id=dag.dag_id, task_id="decide", run_id="manual__1", serialize=False
    )
    answer = viewer.get(f"{PREFIX}/pipelines/airflow/{dag.dag_id}/runs/manual__1/tasks/decide")
    assert answer.status_code == 200
    assert ("expires_after" in answer.text) is verdict_shown  # the gate, as it stands on the page of a verdict


def test_views_are_as_airflow_wants_them() -> None:
    views = external_views()
    assert [each["destination"] for each in views] == ["nav", "dag", "dag_run", "task", "task_instance"]
    assert len({each["url_route"] for each in views}) == len(views)
    assert all(not each["href"].startswith("/") for each in views)


def test_a_store_that_can_not_be_opened_is_a_page_with_a_remedy_and_is_tried_again(
    viewer: TestClient, opened: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from headgate.airflow import view

    view._store.close()
    (tmp_path / "not-a-database").write_text("garbage " * 1000)
    monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/not-a-database")
    answer = viewer.get(f"{PREFIX}/models")
    assert answer.status_code == 503
    assert "The store can&#39;t be read now" in answer.text
    assert "put a backup in its place" in answer.text
    assert "Traceback" not in answer.text

    monkeypatch.setenv("HEADGATE_STORE_URL", opened.store.url)
    assert viewer.get(f"{PREFIX}/models").status_code == 200


def test_a_mistake_of_ours_is_a_page_without_a_stack_trace(
    viewer: TestClient, opened: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headgate.airflow import view

    def break_down(*_: object) -> None:
        raise RuntimeError("sqlite:///secret/path")

    monkeypatch.setattr(view, "answer", break_down)
    answer = viewer.get(f"{PREFIX}/models")
    assert answer.status_code == 500
    assert "says why" in answer.text
    assert "secret/path" not in answer.text
    assert "Traceback" not in answer.text


def test_an_address_that_is_no_page_says_so(viewer: TestClient, opened: World) -> None:
    for path in ("/nothing", "/models/a/b/c/d", "/runs/0123", "/verdicts/v-x", "/lineage", "/promotions?before=x"):
        answer = viewer.get(PREFIX + path)
        assert answer.status_code in (400, 404), path
        assert "<h1>" in answer.text


def says_nothing_of(answer: Response, *words: str) -> None:
    for word in words:
        assert word not in answer.text, word
