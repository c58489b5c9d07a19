"""Where the requests of webhooks may lead."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.store.webhooks import Webhook, WebhookForm
from headgate.tasks.webhooks.addresses import is_public
from headgate.tasks.webhooks.send import send
from tests.store.promotion_cases import NOW
from tests.tasks.webhooks.receiver import Receiver


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def _webhook(url: str) -> Webhook:
    return Webhook("id", "name", url, WebhookForm.MLFLOW, ("promotion",), NOW)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_private_target_is_refused_unless_it_is_allowed(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host).replace("http://", "https://")
    answer = send(_webhook(url), "e", b"{}", now=NOW)
    assert "not of the public internet" in answer.error
    assert receiver.requests == []


def test_plain_http_is_for_allowed_hosts(receiver: Receiver) -> None:
    assert "not https" in send(_webhook("http://example.org/hook"), "e", b"{}", now=NOW).error
    assert send(_webhook(receiver.url), "e", b"{}", private_hosts=["127.0.0.1"], now=NOW).told
    assert send(_webhook(receiver.url), "e", b"{}", private_hosts=["*"], now=NOW).told


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere at the second look (DNS rebinding) gets no second look."""
    import socket

    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host == "hook.example":
            first = asked.count("hook.example") == 1
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if first else "127.0.0.2", port))]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = receiver.url.replace("127.0.0.1", "hook.example")
    assert send(_webhook(url), "e", b"{}", private_hosts=["hook.example"], now=NOW).told
    assert asked.count("hook.example") == 1
    assert receiver.requests[0][0]["Host"].startswith("hook.example:")


def test_the_environment_s_proxy_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert send(_webhook(receiver.url), "e", b"{}", private_hosts=["*"], now=NOW).told


def test_an_error_does_not_repeat_the_path_of_the_url() -> None:
    answer = send(_webhook("http://127.0.0.1:9/services/T0/SECRETPATH"), "e", b"{}", private_hosts=["*"], now=NOW)
    assert answer.error
    assert "SECRETPATH" not in answer.error
