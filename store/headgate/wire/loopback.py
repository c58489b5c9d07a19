"""The endpoint of a single run: on this machine only, with a secret of its own, for as long as the run's process lives.

``MLFLOW_TRACKING_URI`` of the process points here, so a script that uses the real ``mlflow`` client logs into the store
unchanged, no tracking server has to exist, and nothing can be promoted through it. Headgate's own client finds it in
``HEADGATE_STORE_URL``: the code of a project gets no key of the database.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import threading
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING

from headgate.wire.carrying import TOKEN_VARIABLE
from headgate.wire.credentials import OneSecret
from headgate.wire.principal import Principal, Role
from headgate.wire.security import Security
from headgate.wire.sockets import listen

if TYPE_CHECKING:
    import uvicorn

    from headgate.store.entities import RunInfo
    from headgate.store.store import Store

_HOST = "127.0.0.1"
_STOP_SECONDS = 10.0
# Longer than clients keep an idle connection: closing first would race with their next request.
_KEEP_ALIVE_SECONDS = 300


def new_token() -> str:
    """Return a secret that nobody can guess."""
    return secrets.token_urlsafe(32)


class Loopback:
    """Serves the store to the process of one run; a context manager.

    The socket listens from the start, and the server behind it is loaded when the first connection comes: a process
    that never logs over HTTP costs nothing.

    Args:
        store: must stay open while the endpoint lives.
        run: the run whose process is let in. It writes in this run's experiment only.
        actor: the user in every record.
        token: the secret that lets the process in.
        measures: LoggedModels of other experiments that the process may log metrics on.
    """

    def __init__(self, store: Store, run: RunInfo, actor: str, token: str, *, measures: Collection[str] = ()) -> None:
        self._store = store
        self._principal = Principal(
            actor, Role.WRITE, run_id=run.run_id, experiment_id=run.experiment_id, measures=frozenset(measures)
        )
        self.token = token
        self._socket = listen(_HOST, 0)
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._wake, self._woken = socket.socketpair()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"headgate-loopback-{run.run_id}", daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead MLflow's client here, past the settings and proxies of whoever started the run."""
        here = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _HOST)))
        variables = {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_REGISTRY_URI": self.url,
            "MLFLOW_TRACKING_TOKEN": self.token,
            "MLFLOW_TRACKING_USERNAME": "",
            "MLFLOW_TRACKING_PASSWORD": "",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # A link to an endpoint that is gone when somebody reads it.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "NO_PROXY": here,
            "no_proxy": here,
        }
        if "MLFLOW_EXPERIMENT_NAME" in os.environ:  # it would contradict the run's own experiment
            experiment_id = str(self._principal.experiment_id)
            variables["MLFLOW_EXPERIMENT_NAME"] = self._store.experiments.get(experiment_id).name
        return variables

    @property
    def store_environment(self) -> dict[str, str]:
        """The variables that lead Headgate's own client here: code that has these needs no key of the database."""
        return {"HEADGATE_STORE_URL": self.url, TOKEN_VARIABLE: self.token}

    @property
    def was_used(self) -> bool:
        """Whether anybody has connected so far."""
        return self._server is not None

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the requests that were accepted, then stop listening. May be called twice."""
        self._stopping.set()
        self._wake.close()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._woken.close()
        self._socket.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:  # select() takes no descriptor above 1023
            for waited_for in (self._socket, self._woken):
                selector.register(waited_for, selectors.EVENT_READ)
            selector.select()
        if self._stopping.is_set():
            return
        import uvicorn

        from headgate.wire import run_calls
        from headgate.wire.app import create_app

        security = Security(credentials=OneSecret(self.token, self._principal))
        config = uvicorn.Config(
            create_app(self._store, security=security, more_routes=run_calls.routes),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(_STOP_SECONDS / 2),
        )
        self._server = uvicorn.Server(config)
        if self._stopping.is_set():
            self._server.should_exit = True
        self._server.run(sockets=[self._socket])
