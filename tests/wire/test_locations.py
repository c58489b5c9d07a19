"""Where clients may have artifacts kept: below the artifact root, and elsewhere only if they administer the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire import Security
from headgate.wire.principal import Principal, Role
from tests.wire.conftest import PATIENCE, ServedStore

CREATE = "/api/2.0/mlflow/experiments/create"
Create = Callable[[str, Role], tuple[int, str]]


class SecretsOfRoles:
    """Each role's name is a secret that opens it."""

    def remembered(self, user_name: str | None, secret: str) -> Principal | None:
        return Principal("ada", Role[secret])

    def find(self, user_name: str | None, secret: str) -> Principal | None:
        return None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    root = str(tmp_path / "artifacts")
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=root, settings=Settings()) as opened:
        yield opened


@pytest.fixture
def create(store: Store) -> Iterator[Create]:
    """Creates an experiment with an artifact location, in a role; gives the status and the error code."""
    with ServedStore(store, Security(SecretsOfRoles())) as served:

        def send(location: str, role: Role) -> tuple[int, str]:
            said = {"name": f"{role.name} {location}", "artifact_location": location}
            headers = {"Authorization": f"Bearer {role.name}"}
            answer = requests.post(served.url + CREATE, json=said, headers=headers, timeout=PATIENCE)
            return answer.status_code, answer.json().get("error_code", "")

        yield send


def location_of(store: Store, name: str) -> str:
    found = store.experiments.get_by_name(name)
    assert found is not None
    return found.artifact_location


def test_below_the_root_every_writer_may_choose(store: Store, create: Create) -> None:
    for said in (
        "mlflow-artifacts:/team/red",
        f"{store.artifact_root}/team/red",
        f"file://{store.artifact_root}/team/red",
    ):
        assert create(said, Role.WRITE) == (200, "")
        assert location_of(store, f"WRITE {said}") == f"{store.artifact_root}/team/red"


@pytest.mark.parametrize("said", ["/etc", "file:///etc", "s3://bucket/elsewhere", "{root}-beside", "{root}x/y"])
def test_elsewhere_takes_an_administrator(store: Store, create: Create, said: str) -> None:
    location = said.format(root=store.artifact_root)

    assert create(location, Role.WRITE) == (403, "PERMISSION_DENIED")
    assert create(location, Role.PROMOTE) == (403, "PERMISSION_DENIED")
    assert create(location, Role.ADMIN) == (200, "")
    assert location_of(store, f"ADMIN {location}") == location.removeprefix("file://")


@pytest.mark.parametrize(
    "said",
    [
        "mlflow-artifacts:/../../etc",
        "mlflow-artifacts:/%2e%2e/etc",
        "mlflow-artifacts:/a/%252e%252e/%252e%252e/etc",
        "mlflow-artifacts:/..\\etc",
        "{root}/../etc",
        "gs://bucket/elsewhere",
        "runs:/0/model",
    ],
)
def test_nobody_climbs_and_nothing_is_kept_where_it_cannot_be(store: Store, create: Create, said: str) -> None:
    for role in (Role.WRITE, Role.ADMIN):
        assert create(said.format(root=store.artifact_root), role) == (400, "INVALID_PARAMETER_VALUE")


def test_a_folder_that_the_server_may_not_write_is_nothing_to_try_again(tmp_path: Path) -> None:
    with (
        open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root="/sys/headgate", settings=Settings()) as store,
        ServedStore(store) as served,
    ):
        url = f"{served.url}/api/2.0/mlflow-artifacts/artifacts/0/file"
        answer = requests.put(url, data=b"data", timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert "can't be read or written" in answer.json()["message"]
