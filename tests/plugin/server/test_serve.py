"""The server as its own program: it starts, serves, and ends without losing what it accepted."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from headgate.server import ServerOptions, serve
from headgate.store.errors import HeadgateError
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.tokens import TokenRole
from tests.plugin.server.programs import PATIENCE, server

NOW = 1_790_000_000_000
API = "/api/2.0/mlflow"


def _store(folder: Path) -> Store:
    return open_store(
        f"sqlite:///{folder}/headgate.db", artifact_root=str(folder / "artifacts"), settings=Settings(home=folder)
    )


def _run(folder: Path) -> str:
    with _store(folder) as store:
        return store.runs.open("0", now=NOW).info.run_id


class Stream:
    """Clients that log step after step until the server is gone.

    Args:
        url: of the server.
        run_id: the run they log to.
        clients: how many.
    """

    def __init__(self, url: str, run_id: str, clients: int) -> None:
        self.answered: list[list[int]] = [[] for _ in range(clients)]
        self.statuses: set[int] = set()
        self._url = f"{url}{API}/runs/log-metric"
        self._run_id = run_id
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, answers: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while min(map(len, self.answered)) < answers:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)

    def _client(self, number: int) -> None:
        with requests.Session() as session:
            for step in range(1_000_000):
                body = {"run_id": self._run_id, "key": f"m{number}", "value": 1.0, "timestamp": NOW, "step": step}
                try:
                    answer = session.post(self._url, json=body, timeout=PATIENCE)
                except requests.ConnectionError:
                    return
                self.statuses.add(answer.status_code)
                if answer.status_code != 200:
                    return
                self.answered[number].append(step)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_answered_before_the_end_is_in_the_store(tmp_path: Path, workers: int) -> None:
    run_id = _run(tmp_path)
    with server(tmp_path, "--workers", str(workers)) as running:
        stream = Stream(running.url, run_id, 4)
        stream.wait_for(25)
        code = running.stop()
        stream.end()
        log = running.log()

    assert code in (0, -signal.SIGTERM)
    assert stream.statuses <= {200, 503}
    assert "Traceback" not in log
    with _store(tmp_path) as store:
        for number, answered in enumerate(stream.answered):
            stored = [point.step for point in store.metrics.history(run_id, f"m{number}").items]
            # The last one may have been written while its answer was lost with the connection.
            assert stored in (answered, [*answered, len(answered)])


def test_workers_share_the_port_and_end_together(tmp_path: Path) -> None:
    with server(tmp_path, "--workers", "2") as running:
        workers = _children(running.process.pid)
        seen: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        while len(seen) < 2 and time.monotonic() < deadline:
            workers = _children(running.process.pid)
            connections = [requests.Session() for _ in range(8)]
            for session in connections:
                assert session.get(f"{running.url}/health", timeout=PATIENCE).status_code == 200
            seen |= {pid for pid in workers if _established(pid)}
            for session in connections:
                session.close()
        assert len(seen) == 2
        running.stop()
        assert not any(_alive(pid) for pid in workers)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{running.url}/health", timeout=5)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with server(tmp_path, "--workers", "2") as running:
        assert requests.get(f"{running.url}/health", timeout=PATIENCE).status_code == 200
        workers = _children(running.process.pid)
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + PATIENCE
        while any(_alive(pid) for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_tls(tmp_path: Path) -> None:
    certificate, key = _self_signed(tmp_path)
    with server(tmp_path, "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)) as running:
        assert running.url.startswith("https://127.0.0.1:")
        assert requests.get(f"{running.url}/health", verify=str(certificate), timeout=PATIENCE).text == "OK"
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{running.url}/health", timeout=PATIENCE)


def test_tokens_are_demanded_and_never_logged(tmp_path: Path) -> None:
    with _store(tmp_path) as store:
        token, secret = store.tokens.create("ada", TokenRole.PROMOTE, now=NOW)
    with server(tmp_path, "--auth", "--host", "0.0.0.0") as running:
        url = running.url.replace("0.0.0.0", "127.0.0.1")

        def post(path: str, body: dict[str, Any], **sent: Any) -> requests.Response:
            return requests.post(f"{url}{API}/{path}", json=body, timeout=PATIENCE, **sent)

        bearer = {"headers": {"Authorization": f"Bearer {secret}"}}
        assert post("runs/create", {"experiment_id": "0"}).status_code == 401
        assert post("runs/create", {"experiment_id": "0"}, auth=("eve", secret)).status_code == 401
        claimed = {"experiment_id": "0", "user_id": "eve", "tags": [{"key": "mlflow.user", "value": "eve"}]}
        run = post("runs/create", claimed, **bearer).json()["run"]
        assert run["info"]["user_id"] == "ada"
        assert "eve" not in str(run)
        post("registered-models/create", {"name": "m"}, auth=("ada", secret)).raise_for_status()
        version = {"name": "m", "source": f"runs:/{run['info']['run_id']}/m", "run_id": run["info"]["run_id"]}
        made = post("model-versions/create", version, auth=("ada", secret)).json()["model_version"]
        assert made["user_id"] == "ada"
        with _store(tmp_path) as store, store.database.write() as connection:
            connection.exec_driver_sql("drop table headgate_token")
        deadline = time.monotonic() + PATIENCE  # the token is remembered for seconds
        while (broken := post("runs/search", {"experiment_ids": ["0"]}, **bearer)).status_code == 200:
            assert time.monotonic() < deadline
        running.stop()
        log = running.log()

    assert broken.status_code == 503
    assert "no such table: headgate_token" in log
    for hidden in (secret, secret.removeprefix("hg_"), token.token_id):
        assert hidden not in log


def test_a_store_that_cannot_be_opened_is_an_error_before_anything_is_served(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)

    for workers in (1, 2):
        options = ServerOptions(port=0, workers=workers, store_url=f"sqlite:///{broken}", artifact_root=str(tmp_path))
        with pytest.raises(HeadgateError, match="can't be used"):
            serve(options, on_listening=pytest.fail)


def _children(pid: int) -> set[int]:
    """Return the worker processes, by what Linux says of each process's parent."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == pid and b"spawn_main" in command:
            found.add(int(status.parent.name))
    return found


def _established(pid: int) -> bool:
    """Say whether a process holds a connection of a client."""
    inodes = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01":
            inodes.add(fields[9])
    return any(_inode(file) in inodes for file in Path(f"/proc/{pid}/fd").iterdir())


def _inode(file: Path) -> str:
    try:
        return os.readlink(file).removeprefix("socket:[").rstrip("]")
    except FileNotFoundError:  # it was closed meanwhile
        return ""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
