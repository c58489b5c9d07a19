"""``headgate server``: what it says, and what it refuses. How it serves is tested in ``tests/plugin/server``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

import pytest

from headgate.server import ServerOptions
from headgate.wire.sockets import listen
from tests.plugin.cli.conftest import CommandLine


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ServerOptions]:
    """The options that a server would have been started with."""
    options: list[ServerOptions] = []

    def serve(said: ServerOptions, *, on_listening: Callable[[str], None]) -> None:
        options.append(said)
        on_listening("http://127.0.0.1:5000")

    import_module("headgate.server.serve")
    monkeypatch.setattr(sys.modules["headgate.server.serve"], "serve", serve)
    return options


def test_it_says_where_it_listens(headgate: CommandLine, started: list[ServerOptions]) -> None:
    said = headgate("server")

    assert said.stderr == "Headgate listens on http://127.0.0.1:5000\n"
    assert headgate.json("server") == {"url": "http://127.0.0.1:5000"}
    expected = ServerOptions(store_url=headgate.url, artifact_root=headgate.artifact_root)
    assert started == [expected, expected]


def test_every_option_arrives(headgate: CommandLine, started: list[ServerOptions]) -> None:
    names = ("--allowed-host", "a", "--allowed-host", "*.b", "--allowed-origin", "https://c")
    tls = ("--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem")
    words = ("--host", "0.0.0.0", "--port", 0, "--workers", 3, "--auth", "--allow-anonymous", *names, *tls)

    assert headgate("server", *words).exit_code == 0
    assert started == [
        ServerOptions(
            host="0.0.0.0",
            port=0,
            store_url=headgate.url,
            artifact_root=headgate.artifact_root,
            workers=3,
            auth=True,
            allow_anonymous=True,
            allowed_hosts=("a", "*.b"),
            allowed_origins=("https://c",),
            ssl_certfile="cert.pem",
            ssl_keyfile="key.pem",
        )
    ]


def test_other_machines_are_not_served_by_accident(headgate: CommandLine) -> None:
    error = headgate.error("server", "--host", "0.0.0.0", "--port", "0")

    assert "reached from other machines" in error["message"]
    assert "--auth" in error["remedy"]


def test_a_port_in_use_is_bad_input(headgate: CommandLine) -> None:
    taken = listen("127.0.0.1", 0)
    try:
        error = headgate.error("server", "--port", taken.getsockname()[1])
    finally:
        taken.close()

    assert "Address already in use" in error["message"]


@pytest.mark.parametrize("words", [("--port", "70000"), ("--workers", "0"), ("--ssl-certfile", "none.pem")])
def test_bad_options_are_bad_input(headgate: CommandLine, words: tuple[str, ...]) -> None:
    assert headgate("server", *words).exit_code == 2
