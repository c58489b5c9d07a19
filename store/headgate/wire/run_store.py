"""What the code of a run has in place of the store: the same calls, carried to the endpoint of its run.

It holds no credentials of the database and loads no database library. Artifacts go straight to where they are kept, as
large files need not pass through a server.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headgate.store.errors import HeadgateError, InvalidInput, InvalidSettings, StoreUnavailable
from headgate.wire.carrying import RUN_PATH, TOKEN_VARIABLE, carried, received, received_error

if TYPE_CHECKING:
    from headgate.store.artifacts import ArtifactStore
    from headgate.store.settings import Settings

_ANSWER_SECONDS = 300.0
# Shorter than the endpoint keeps an idle connection, so that no request is sent into one that is being closed.
_IDLE_SECONDS = 120.0


class RunStore:
    """The part of :class:`headgate.store.store.Store` that logging needs, spoken over HTTP. Threads may share it.

    Args:
        url: of the run's endpoint.
        token: the secret that lets its code in.

    Every call raises what the store's own would raise, and :class:`InvalidInput` where the run may not make it.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._of_thread = threading.local()
        self.datasets = _Calls(self._call, "datasets")
        self.experiments = _Calls(self._call, "experiments")
        self.leases = _Calls(self._call, "leases")
        self.logged_models = _Calls(self._call, "logged_models")
        self.metrics = _Calls(self._call, "metrics")
        self.params = _Calls(self._call, "params")
        self.registry = _Calls(self._call, "registry")
        self.runs = _Calls(self._call, "runs")
        self.tags = _Calls(self._call, "tags")

    @classmethod
    def of_environment(cls, url: str) -> RunStore:
        """Return the store behind the endpoint that the environment names.

        Raises:
            InvalidSettings: the environment has no token for it.
        """
        token = os.environ.get(TOKEN_VARIABLE)
        if not token:
            raise InvalidSettings(
                f"HEADGATE_STORE_URL names the endpoint of a run, {url}, and {TOKEN_VARIABLE} is not set.",
                remedy="Pass the whole environment on to the processes that log, or name the store's database.",
            )
        return cls(url, token)

    @cached_property
    def settings(self) -> Settings:
        from headgate.store.settings import read_settings

        return read_settings()

    def artifacts(self, uri: str) -> ArtifactStore:
        """Return the artifact store that holds ``uri``, as the store does."""
        from headgate.store.artifacts import artifact_store_for

        return artifact_store_for(uri, self.settings)

    def close(self) -> None:
        """Close this thread's connection; those of other threads end with them."""
        self._drop()

    def _call(self, name: str, /, *positional: Any, **named: Any) -> Any:
        body = json.dumps({"positional": carried(list(positional)), "named": carried(named)}).encode()
        status, text = self._exchange(name, body)
        try:
            said = json.loads(text)
        except ValueError as error:
            raise self._silent(f"it answered {status} without JSON") from error
        if status != http.HTTPStatus.OK:
            raise self._refused(status, said)
        if "error" in said:
            raise received_error(said)
        return received(said["returned"])

    def _exchange(self, name: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection = self._connection()
        try:
            connection.request("POST", f"{RUN_PATH}/{name}", body, headers)
            with connection.getresponse() as answer:
                text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise self._silent(str(error) or type(error).__name__) from error
        self._of_thread.used = time.monotonic()
        return answer.status, text

    def _connection(self) -> http.client.HTTPConnection:
        """Return this thread's connection: a fork must not share its parent's, and an old one may be closed by now."""
        mine = self._of_thread
        stale = getattr(mine, "pid", None) != os.getpid() or time.monotonic() - mine.used > _IDLE_SECONDS
        if stale:
            self._drop()
            address = urlsplit(self.url)
            mine.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ANSWER_SECONDS)
            mine.pid, mine.used = os.getpid(), time.monotonic()
        connection: http.client.HTTPConnection = mine.connection
        return connection

    def _drop(self) -> None:
        connection = getattr(self._of_thread, "connection", None)
        if connection is not None:
            connection.close()
        self._of_thread.pid = None

    def _silent(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"The endpoint of the run at {self.url} did not answer: {why}.",
            remedy="It lives as long as the run does: what logs has to end before the run.",
        )

    def _refused(self, status: int, said: dict[str, Any]) -> HeadgateError:
        message = str(said.get("message", said))
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            return StoreUnavailable(message, remedy="Try again.")
        return InvalidInput(
            message, remedy="Log to the run's own experiment, and do the rest outside of the project's code."
        )


class _Calls:
    """One aggregate of the store: every method is the call of this name."""

    def __init__(self, call: Callable[..., Any], aggregate: str) -> None:
        self._call = call
        self._aggregate = aggregate

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._call, f"{self._aggregate}.{method}")
