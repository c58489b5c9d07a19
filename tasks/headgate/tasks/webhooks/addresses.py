"""Connections that lead where they were checked to lead: to public addresses, and to no other than the one checked.

A name is resolved once per connection, every address that it has is checked, and the connection goes to one of these by
its number: a name that means another machine a moment later (DNS rebinding) changes nothing. TLS still checks the
certificate against the name. Proxies of the environment are not used, as they would connect in our stead.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any

import requests  # noqa: TID253 - this module is loaded with the first request
from requests.adapters import HTTPAdapter  # noqa: TID253
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

ANY_HOST = "*"
# Translations of IPv4 addresses: what is inside of them is what they lead to.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddress(NewConnectionError):
    """The host's name leads into a private network, and nobody has allowed that."""


def is_public(text: str) -> bool:
    """Say whether an address is one of the public internet: neither of this machine nor of a network behind it."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def allows_private(host: str, allowed: Collection[str]) -> bool:
    """Say whether a host may be one of a private network: it is named, or everything is (``*``)."""
    return ANY_HOST in allowed or host.lower() in {name.lower() for name in allowed}


def checked_session(private_hosts: Collection[str]) -> requests.Session:
    """Return a session whose requests go to public addresses only, but for the hosts that may be private."""
    session = requests.Session()
    session.trust_env = False
    adapter = _CheckedAdapter(frozenset(private_hosts))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _CheckedAdapter(HTTPAdapter):
    def __init__(self, private_hosts: frozenset[str]) -> None:
        self._private_hosts = private_hosts
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        allowed = self._private_hosts
        plain = type("Plain", (_Checked, HTTPConnection), {"private_hosts": allowed})
        secure = type("Secure", (_Checked, HTTPSConnection), {"private_hosts": allowed})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }


class _Checked(HTTPConnection):
    """A connection that resolves its host itself, and connects to the address that it has checked."""

    private_hosts: frozenset[str] = frozenset()

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, f"{name} can't be resolved: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        forbidden = [address for address in addresses if not is_public(address)]
        if forbidden and not allows_private(self.host, self.private_hosts):
            raise ForbiddenAddress(self, f"{name} leads to {forbidden[0]}, which is not of the public internet")
        failure: NewConnectionError | None = None
        for address in addresses:
            self._dns_host = address
            try:
                return super()._new_conn()
            except NewConnectionError as error:
                failure = error
            finally:
                self._dns_host = name
        raise failure or NewConnectionError(self, f"{name} has no address")
