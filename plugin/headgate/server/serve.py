"""Running the server until it is told to stop: SIGTERM and Ctrl-C let it finish what it accepted."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headgate.server.options import ServerOptions
from headgate.server.worker import OPTIONS_VARIABLE, application
from headgate.wire.sockets import listen

if TYPE_CHECKING:
    import uvicorn

_GRACE_SECONDS = 30
_KEEP_ALIVE_SECONDS = 120
# A worker that is slow to start on a busy machine must not be taken for a hung one, and killed.
_HEALTH_CHECK_SECONDS = 60


def serve(options: ServerOptions, *, on_listening: Callable[[str], None] | None = None) -> None:
    """Serve a store over HTTP; returns when the server was told to stop.

    Args:
        options: checked here.
        on_listening: called with the server's URL once it listens.

    Raises:
        InvalidSettings: the options are unsafe or can't work.
        HeadgateError: the store can't be opened.
    """
    options.check()
    listener = listen(options.host, options.port)
    scheme = "https" if options.ssl_certfile else "http"
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"{scheme}://{host}:{listener.getsockname()[1]}"
    try:
        if options.workers == 1:
            server = _server(application(options), options)
            if on_listening is not None:
                on_listening(url)
            server.run(sockets=[listener])
        else:
            _serve_with_workers(options, listener, url, on_listening)
    finally:
        listener.close()


def _serve_with_workers(
    options: ServerOptions, listener: Any, url: str, on_listening: Callable[[str], None] | None
) -> None:
    from uvicorn.supervisors import Multiprocess

    application(options).close()  # a store that can't be opened is an error here, not in every worker
    os.environ[OPTIONS_VARIABLE] = options.to_json()
    config = uvicorn_config("headgate.server.worker:application_from_environment", options, factory=True)
    config.workers = options.workers
    if on_listening is not None:
        on_listening(url)
    try:
        Multiprocess(config, sockets=[listener]).run()
    finally:
        del os.environ[OPTIONS_VARIABLE]  # the store's URL may hold a password


def _server(app: Any, options: ServerOptions) -> uvicorn.Server:
    import uvicorn

    return uvicorn.Server(uvicorn_config(app, options))


def uvicorn_config(app: Any, options: ServerOptions, *, factory: bool = False) -> uvicorn.Config:
    """Return how an ASGI application is served: quietly, with its lifespan, and to the end of what it accepted."""
    import uvicorn

    return uvicorn.Config(
        app,
        factory=factory,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_worker_healthcheck=_HEALTH_CHECK_SECONDS,
        ssl_certfile=options.ssl_certfile,
        ssl_keyfile=options.ssl_keyfile,
    )
