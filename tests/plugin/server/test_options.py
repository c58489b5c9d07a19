"""What a server refuses to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.server import ServerOptions, serve
from headgate.store.errors import InvalidSettings
from headgate.wire.sockets import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_this_machine_is_served_without_tokens(host: str) -> None:
    ServerOptions(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "tracking.example"])
def test_other_machines_are_served_with_tokens_or_on_purpose(host: str) -> None:
    with pytest.raises(InvalidSettings, match="--auth"):
        ServerOptions(host=host).check()
    ServerOptions(host=host, auth=True).check()
    ServerOptions(host=host, allow_anonymous=True).check()


def test_somebody_has_to_serve() -> None:
    for workers in (0, -1):
        with pytest.raises(InvalidSettings, match="serve nobody"):
            ServerOptions(workers=workers).check()


def test_tls_needs_a_certificate_and_its_key(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("no certificate")

    with pytest.raises(InvalidSettings, match="its key"):
        ServerOptions(ssl_certfile=str(file)).check()
    with pytest.raises(InvalidSettings, match="its key"):
        ServerOptions(ssl_keyfile=str(file)).check()
    with pytest.raises(InvalidSettings, match="no TLS file"):
        ServerOptions(ssl_certfile=str(file), ssl_keyfile=str(tmp_path / "none.pem")).check()
    with pytest.raises(InvalidSettings, match="TLS can't use"):
        ServerOptions(ssl_certfile=str(file), ssl_keyfile=str(file)).check()


def test_options_reach_a_worker_as_they_are() -> None:
    options = ServerOptions(port=0, auth=True, allowed_hosts=("a", "b"), allowed_origins=("https://c",))

    assert ServerOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_said(host: str) -> None:
    taken = listen(host, 0)
    port = taken.getsockname()[1]
    try:
        with pytest.raises(InvalidSettings, match=rf"{port}: Address already in use\. Choose another --host or --port"):
            serve(ServerOptions(host=host, port=port))
    finally:
        taken.close()


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid", "a" * 100])
def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(InvalidSettings, match="Can't listen on"):
        serve(ServerOptions(host=host, port=0, auth=True))
