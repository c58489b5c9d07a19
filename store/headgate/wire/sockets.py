"""Listening sockets that answer at once."""

from __future__ import annotations

import socket

from headgate.store.errors import InvalidSettings


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on TCP; port 0 takes a free one.

    The protocol is said explicitly: asyncio switches Nagle's algorithm off only for sockets that name TCP, and with it
    on, each request on a kept-alive connection waits about 40 ms for a delayed acknowledgement.

    Raises:
        InvalidSettings: the address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that can't be looked up
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise InvalidSettings(
            f"Can't listen on {host}:{port}: {reason}.", remedy="Choose another --host or --port."
        ) from error
    listener.set_inheritable(False)
    return listener
