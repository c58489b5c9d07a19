"""Host and origin checks, as MLflow 3 has them, and credentials as MLflow's client sends them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.tokens import TokenRole
from headgate.wire import Security
from headgate.wire.credentials import REMEMBERED_SECONDS, OneSecret, TokenCredentials
from headgate.wire.errors import WireError
from headgate.wire.principal import Principal, Role
from tests.wire.conftest import PATIENCE, ServedStore

NOW = 1_790_000_000_000
CREATE = "/api/2.0/mlflow/experiments/create"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=str(tmp_path), settings=Settings()) as opened:
        yield opened


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1:5000", "[::1]:5000", "0.0.0.0:1", "192.168.1.7:5000", "10.0.0.1"],
)
def test_names_of_this_machine_and_of_private_networks_are_ours(host: str) -> None:
    Security().check_host({b"host": host.encode()})


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5000",
        "",
        "localhost.evil.example",
        "192.168.1.7.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1/evil",
        "[::1",
        "8.8.8.8",
        "\xff",
    ],
)
def test_another_name_is_taken_for_dns_rebinding(host: str) -> None:
    for headers in ({b"host": host.encode("latin-1")}, {}):
        with pytest.raises(WireError, match="DNS rebinding") as refused:
            Security().check_host(headers)
        assert refused.value.status == 403


def test_further_names_are_allowed_by_pattern() -> None:
    security = Security(allowed_hosts=["tracking.example", "*.lab.example"])

    for host in (b"tracking.example:80", b"Tracking.Example", b"a.lab.example"):
        security.check_host({b"host": host})
    with pytest.raises(WireError):
        security.check_host({b"host": b"lab.example.evil"})
    Security(allowed_hosts=["*"]).check_host({b"host": b"anything"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:1", True),
        ("https://ui.example", True),
        ("https://a.pages.example", True),
        ("http://tracking.example:5000", True),  # the server's own page
        ("http://ui.example", False),
        ("https://evil.example", False),
        ("https://localhost.evil.example", False),
        ("http://evil@localhost", False),
        ("null", False),
        ("", False),
        ("file://localhost", False),
        ("http://[::1", False),
    ],
)
def test_pages_of_other_sites_may_not_write(origin: str, allowed: bool) -> None:
    security = Security(allowed_origins=["https://ui.example/", "https://*.pages.example"])
    headers = {b"host": b"tracking.example:5000", b"origin": origin.encode()}

    security.check_origin("GET", headers)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        if allowed:
            security.check_origin(method, headers)
        else:
            with pytest.raises(WireError, match="Cross-origin") as refused:
                security.check_origin(method, headers)
            assert refused.value.status == 403
    assert (b"access-control-allow-origin" in dict(security.response_headers(headers))) is allowed


def test_a_request_to_a_foreign_name_or_from_a_foreign_page_changes_nothing(sqlite_served: ServedStore) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = requests.post(sqlite_served.url + CREATE, json={"name": "stolen"}, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 403
        assert answer.json()["error_code"] == "PERMISSION_DENIED"
    assert (
        requests.get(f"{sqlite_served.url}/no", headers={"Host": "evil.example"}, timeout=PATIENCE).status_code == 403
    )
    assert sqlite_served.store.experiments.get_by_name("stolen") is None


def test_health_and_version_answer_to_any_name(sqlite_served: ServedStore) -> None:
    for path in ("/health", "/version"):
        answer = requests.get(sqlite_served.url + path, headers={"Host": "10.evil.example"}, timeout=PATIENCE)
        assert answer.status_code == 200


def test_browsers_are_told_what_a_page_may_send(store: Store) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,authorization"}
    security = Security(OneSecret("s", Principal("ada", Role.ADMIN)), allowed_origins=["https://ui.example"])
    with ServedStore(store, security) as served:
        yes = requests.options(served.url + CREATE, headers={**asked, "Origin": "https://ui.example"}, timeout=PATIENCE)
        no = requests.options(
            served.url + CREATE, headers={**asked, "Origin": "https://evil.example"}, timeout=PATIENCE
        )
        read = requests.get(served.url + SEARCH, headers={"Origin": "https://ui.example"}, timeout=PATIENCE)

    assert yes.status_code == 204
    assert yes.headers["access-control-allow-origin"] == "https://ui.example"
    assert yes.headers["access-control-allow-headers"] == "content-type,authorization"
    assert "POST" in yes.headers["access-control-allow-methods"]
    assert no.status_code == 403
    assert "access-control-allow-origin" not in no.headers
    # The page may read why it was refused, too.
    assert read.status_code == 401
    assert read.headers["access-control-allow-origin"] == "https://ui.example"


def test_any_origin_comes_without_the_browsers_credentials() -> None:
    headers = dict(Security(allowed_origins=["*"]).response_headers({b"origin": b"https://any.example"}))

    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in headers


def test_every_answer_is_kept_out_of_frames_and_guesses(sqlite_served: ServedStore) -> None:
    for path in ("/health", SEARCH, "/nothing"):
        answer = requests.get(sqlite_served.url + path, timeout=PATIENCE)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_credentials_come_as_bearer_token_or_as_user_and_password(store: Store) -> None:
    _, secret = store.tokens.create("ada", TokenRole.READ, now=NOW)
    credentials = TokenCredentials(store.tokens, clock=lambda: NOW)
    with ServedStore(store, Security(credentials)) as served:

        def status(authorization: str) -> int:
            headers = {"Authorization": authorization} if authorization else {}
            return requests.get(served.url + SEARCH, headers=headers, timeout=PATIENCE).status_code

        def basic(text: str) -> str:
            return "Basic " + base64.b64encode(text.encode()).decode()

        for good in (f"Bearer {secret}", f"bearer  {secret}", basic(f"ada:{secret}")):
            assert status(good) == 200
        for bad in (
            "",
            secret,
            "Bearer",
            "Bearer ",
            f"Bearer {secret}x",
            f"Digest {secret}",
            basic(f"bob:{secret}"),
            basic(f":{secret}"),
            basic(secret),
            "Basic ~~~",
            "Basic /w==",
        ):
            assert status(bad) == 401


def test_an_unauthenticated_client_is_asked_for_credentials(store: Store) -> None:
    with ServedStore(store, Security(OneSecret("s", Principal("ada", Role.READ)))) as served:
        answer = requests.get(served.url + SEARCH, timeout=PATIENCE)

    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_token_is_remembered_for_seconds_only(store: Store) -> None:
    token, secret = store.tokens.create("ada", TokenRole.READ, now=NOW)
    seconds = 100.0
    credentials = TokenCredentials(store.tokens, clock=lambda: NOW, monotonic=lambda: seconds)

    assert credentials.remembered(None, secret) is None
    found = credentials.find(None, secret)
    assert found == Principal("ada", Role.READ) == credentials.remembered(None, secret)
    assert credentials.remembered("", secret) is None
    assert credentials.remembered("bob", secret) is None
    store.tokens.revoke(token.token_id, now=NOW)
    seconds += REMEMBERED_SECONDS
    assert credentials.remembered(None, secret) is None
    assert credentials.find(None, secret) is None


def test_a_token_is_not_remembered_beyond_its_end(store: Store) -> None:
    _, secret = store.tokens.create("ada", TokenRole.READ, now=NOW, expires_at=NOW + 1000)
    seconds = 0.0
    credentials = TokenCredentials(store.tokens, clock=lambda: NOW, monotonic=lambda: seconds)

    assert credentials.find(None, secret) is not None
    seconds = 1.0
    assert credentials.remembered(None, secret) is None
