"""Somebody who answers what a flow run asks, through the API that Prefect's pages use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.plugin.prefect.server import PrefectServer

_PATIENCE = 240


def paused_runs(server: PrefectServer, flow_name: str) -> list[dict[str, Any]]:
    """Return the flow runs of a flow that wait for an answer."""
    wanted = {"flows": {"name": {"any_": [flow_name]}}, "flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}
    return list(post(server, "/flow_runs/filter", wanted))


def has_form(server: PrefectServer, flow_run: dict[str, Any]) -> bool:
    """Say whether a flow run that waits for an answer shows its form: Prefect keeps it a moment after the pause."""
    schema = flow_run["state"]["state_details"]["run_input_keyset"]["schema"]
    url = f"{server.api_url}/flow_runs/{flow_run['id']}/input/{schema}"
    return httpx.get(url, timeout=60, trust_env=False).is_success


def answer(server: PrefectServer, flow_run_id: str, run_input: dict[str, Any]) -> dict[str, Any]:
    """Resume a flow run with an answer; return what the server says to it."""
    return dict(post(server, f"/flow_runs/{flow_run_id}/resume", {"run_input": run_input}))


def wait_for_question(server: PrefectServer, flow_name: str) -> str:
    """Wait until a flow run of a flow shows the form of an answer; return its id."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if (found := paused_runs(server, flow_name)) and has_form(server, found[0]):
            return str(found[0]["id"])
        time.sleep(0.2)
    raise TimeoutError(f"{flow_name} asked nothing")


@contextmanager
def answering(server: PrefectServer, flow_name: str, **run_input: Any) -> Iterator[list[dict[str, Any]]]:
    """Answer what a flow run of a flow asks while the block calls it; gives what the server said."""
    said: list[dict[str, Any]] = []

    def work() -> None:
        said.append(answer(server, wait_for_question(server, flow_name), run_input))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield said
    thread.join(_PATIENCE)


def post(server: PrefectServer, path: str, body: Any) -> Any:
    """Return what the server's API answers; one whose database is busy is asked again, as Prefect's clients do."""
    until = time.monotonic() + _PATIENCE
    while True:
        answered = httpx.post(f"{server.api_url}{path}", json=body, timeout=60, trust_env=False)
        if answered.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
            return answered.raise_for_status().json()
        time.sleep(0.5)
