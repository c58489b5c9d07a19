"""What a server is started with, checked before it listens."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from headgate.store.errors import InvalidSettings


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to serve a store.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        store_url: the store; None takes the settings'.
        artifact_root: where artifacts go; None takes the settings'.
        workers: processes. One serves most teams; each further one wants a core of its own.
        auth: demand a token of every client.
        allow_anonymous: serve other machines without tokens. Everybody who reaches the port may then do everything.
        allowed_hosts: further names that clients may call the server by (``*`` for any).
        allowed_origins: web pages that may write (``*`` for any).
        ssl_certfile: PEM file of the certificate chain.
        ssl_keyfile: PEM file of its private key.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    store_url: str | None = None
    artifact_root: str | None = None
    workers: int = 1
    auth: bool = False
    allow_anonymous: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None

    def check(self) -> None:
        """Refuse what would be unsafe or can't work.

        Raises:
            InvalidSettings: other machines are served without tokens and nobody said that this is meant, or a TLS file
                is missing, or there are no workers.
        """
        if self.workers < 1:
            raise InvalidSettings(f"{self.workers} workers serve nobody.", remedy="Give --workers a number from 1 up.")
        if not self.auth and not self.allow_anonymous and not _is_loopback(self.host):
            raise InvalidSettings(
                f"{self.host} is reached from other machines, and anybody there could write to the store.",
                remedy="Add --auth and give clients tokens (headgate tokens create), or say --allow-anonymous.",
            )
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise InvalidSettings(
                "TLS needs a certificate and its key.", remedy="Give both --ssl-certfile and --ssl-keyfile."
            )
        for path in (self.ssl_certfile, self.ssl_keyfile):
            if path is not None and not Path(path).is_file():
                raise InvalidSettings(f"There is no TLS file {path}.", remedy="Name a PEM file that exists.")
        if self.ssl_certfile is not None:
            self._check_certificate(self.ssl_certfile)

    def _check_certificate(self, certfile: str) -> None:
        import ssl

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, self.ssl_keyfile)
        except OSError as error:
            raise InvalidSettings(
                f"TLS can't use {certfile} with {self.ssl_keyfile}: {error.strerror or error}.",
                remedy="Give a PEM certificate and the PEM key that it was made with.",
            ) from error

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServerOptions:
        values = json.loads(text)
        for name in ("allowed_hosts", "allowed_origins"):
            values[name] = tuple(values[name])
        return cls(**values)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
