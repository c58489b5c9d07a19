"""Every route is closed until a role opens it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import requests

from headgate.store.settings import Settings
from headgate.store.store import open_store
from headgate.wire import Security
from headgate.wire.endpoints import all_routes
from headgate.wire.principal import Principal, Role
from headgate.wire.routes import Route
from tests.wire.conftest import PATIENCE, ServedStore

OPEN = {("GET", "/health"), ("GET", "/version")}
NEEDS_PROMOTE = {
    ("POST", "/api/2.0/mlflow/model-versions/transition-stage"),
    ("POST", "/api/2.0/mlflow/registered-models/alias"),
    ("DELETE", "/api/2.0/mlflow/registered-models/alias"),
}
ROUTES = all_routes()
IDS = [f"{route.method} {route.path}" for route in ROUTES]
Ask = Callable[[Route, str | None], int]


class SecretsOfRoles:
    """Each role's name is a secret that opens it."""

    def remembered(self, user_name: str | None, secret: str) -> Principal | None:
        if secret == "run":
            return Principal("runner", Role.WRITE, run_id="0" * 32, experiment_id="999")
        return Principal("ada", Role[secret]) if secret in Role.__members__ else None

    def find(self, user_name: str | None, secret: str) -> Principal | None:
        return None


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Sends a request without any parameters to a route, with a secret or without; gives the status."""
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(home=folder)
    with (
        open_store(f"sqlite:///{folder}/headgate.db", artifact_root=str(folder / "a"), settings=settings) as store,
        ServedStore(store, Security(SecretsOfRoles())) as served,
        requests.Session() as session,
    ):

        def send(route: Route, secret: str | None) -> int:
            headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            path = re.sub(r"\{\w+(:path)?\}", "nothing", route.path)
            statuses = set()
            for spelling in {path, path.replace("/api/", "/ajax-api/", 1)}:
                answer = session.request(
                    route.method, served.url + spelling, headers=headers, data=b"{}", timeout=PATIENCE
                )
                statuses.add(answer.status_code)
            (status,) = statuses
            return status

        yield send


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_a_route_answers_nobody_and_lower_roles_never(ask: Ask, route: Route) -> None:
    if (route.method, route.path) in OPEN:
        assert route.role is Role.NOBODY
        assert ask(route, None) == 200
        return
    assert ask(route, None) == 401
    assert ask(route, "wrong") == 401
    assert ask(route, "NOBODY") == 403
    for role in Role:
        if Role.NOBODY < role < route.role:
            assert ask(route, role.name) == 403
        elif role >= route.role:
            assert ask(route, role.name) not in (401, 403, 500, 503)


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_what_changes_something_takes_more_than_reading(route: Route) -> None:
    """POST also asks questions: those are told from the rest by their names."""
    asks = route.method == "GET" or route.path.endswith(("/search", "/get-latest-versions", "/presigned-download-url"))
    if (route.method, route.path) in OPEN:
        expected = Role.NOBODY
    elif (route.method, route.path) in NEEDS_PROMOTE:
        expected = Role.PROMOTE
    elif route.method == "DELETE" and route.path.startswith("/api/2.0/mlflow-artifacts/"):
        expected = Role.ADMIN
    else:
        expected = Role.READ if asks else Role.WRITE
    assert route.role is expected


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_the_process_of_a_run_never_promotes_deletes_or_administers(ask: Ask, route: Route) -> None:
    never = route.role > Role.WRITE or re.search(r"/(delete|restore|rename|transition-stage|alias)$", route.path)
    if (never and route.method != "GET") or not route.scoped:
        assert not route.scoped or route.role > Role.WRITE
        assert ask(route, "run") == 403
    elif route.role is Role.READ:
        assert ask(route, "run") not in (401, 403, 500, 503)
