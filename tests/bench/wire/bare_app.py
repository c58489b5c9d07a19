"""The ceiling of ``log_metric``: an ASGI application that parses the same body and answers the same, and does no more.

``python -m tests.bench.wire.bare_app`` serves it as ``headgate server`` is served, and prints its URL.
"""

from __future__ import annotations

import json
from typing import Any

import uvicorn

from headgate.server.options import ServerOptions
from headgate.server.serve import uvicorn_config
from headgate.wire.sockets import listen

_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if body:
        json.loads(body)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def main() -> None:
    listener = listen("127.0.0.1", 0)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn_config(application, ServerOptions())).run(sockets=[listener])


if __name__ == "__main__":
    main()
