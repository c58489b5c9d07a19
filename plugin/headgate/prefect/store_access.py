"""Which store a task writes to: the one of a block, of the environment, or else the file in the home folder.

A process opens each store once and shares its connections between tasks: a task that does little is not to spend its
time on opening a database.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headgate.store.access import StoreAccess, environment_names_store, read_url

if TYPE_CHECKING:
    from headgate.prefect.block import HeadgateStore
    from headgate.store.store import Store

DEFAULT_BLOCK = "default"

# What a block says is asked for again after this: somebody may have edited it.
_BLOCK_SECONDS = 60.0
_SETTINGS = ("workspace", "s3_endpoint_url", "s3_access_key_id", "s3_secret_access_key")


_lock = threading.RLock()
_stores: dict[tuple[Any, ...], Store] = {}
_said: dict[str, tuple[float, StoreAccess | None]] = {}


@contextmanager
def open_store_of(block: str | None = None) -> Iterator[Store]:
    """Give the store that a block names, for the length of a ``with`` block; its connections stay for the next.

    Args:
        block: the name of a ``HeadgateStore`` block. None takes what ``HEADGATE_STORE_URL`` or ``HEADGATE_HOME`` say;
            without these, the block called ``default``, where there is one; and else the file in the home folder, which
            is refused to a deployed flow: nobody would find it on the machine of some worker.

    Raises:
        InvalidSettings: there is no such block, it can't be read, or nothing names a store to a deployed flow.
        StoreUnavailable: the database did not answer; a retry may help.
        SchemaOutdated: the database needs ``headgate db upgrade``.
    """
    with opened(store_access(block)) as store:
        yield store


def store_access(block: str | None = None) -> StoreAccess:
    """Return where the store is; see :func:`open_store_of`.

    Raises:
        InvalidSettings: there is no such block, it can't be read, or nothing names a store to a deployed flow.
        StoreUnavailable: Prefect's server did not answer; a retry may help.
    """
    from prefect import runtime

    from headgate.store.errors import InvalidSettings

    named = named_store(block)
    if named is None and runtime.deployment.id is not None:
        raise InvalidSettings(
            "Nothing names the store, and this is a run of a deployment.",
            remedy=f'Save a HeadgateStore block called "{DEFAULT_BLOCK}", name one with store=, or set '
            "HEADGATE_STORE_URL in the environment of the work pool's jobs.",
        )
    return StoreAccess() if named is None else named


def named_store(block: str | None = None) -> StoreAccess | None:
    """Return where the store is that something names, a block or the environment; None is the file in the home folder.

    Raises:
        InvalidSettings: there is no such block, or it can't be read.
        StoreUnavailable: Prefect's server did not answer; a retry may help.
    """
    from headgate.store.errors import InvalidSettings

    if block is not None:
        found = _access_of_block(block)
        if found is None:
            raise InvalidSettings(
                f"There is no block {block!r} of the type headgate-store.",
                remedy=f'Make it: HeadgateStore(url="postgresql://user@host/headgate", artifact_root="s3://bucket/'
                f'headgate").save("{block}"); or leave store= out and set HEADGATE_STORE_URL.',
                block=block,
            )
        return found
    if environment_names_store():
        return StoreAccess()
    return _access_of_block(DEFAULT_BLOCK)


@contextmanager
def opened(access: StoreAccess) -> Iterator[Store]:
    """Give the store that this process has open, or open it; errors as of :func:`headgate.store.open_store`."""
    from headgate.store.settings import read_settings

    settings = read_settings(**access.settings)
    key = (os.getpid(), access.url, access.artifact_root, settings.model_dump_json(), _secrets_of(settings))
    with _lock:
        store = _stores.get(key)
        if store is None:
            store = _stores[key] = access.open()
    yield store


def close_stores() -> None:
    """Close every store that this process has open; the next task opens its own anew. Also done at the exit."""
    with _lock:
        for (process, *_), store in _stores.items():
            if process == os.getpid():  # a fork leaves its parent's connections alone
                store.close()
        _stores.clear()
        _said.clear()


atexit.register(close_stores)


def access_of(block: HeadgateStore) -> StoreAccess:
    """Return what a block says of the store.

    Raises:
        InvalidSettings: its URL can't be read.
    """
    said = {name: getattr(block, name) for name in _SETTINGS}
    settings = {name: value for name, value in said.items() if value not in (None, "")}
    url = read_url(block.url, "The URL of the HeadgateStore block")
    if block.password is not None and url.get_backend_name() != "sqlite":
        url = url.set(password=block.password.get_secret_value())
    return StoreAccess(url.render_as_string(hide_password=False), block.artifact_root or None, settings)


def without_password(text: str) -> tuple[str, str | None]:
    """Return a URL without its password, and the password; one that can't be read comes back as it is."""
    from sqlalchemy import URL

    from headgate.store.errors import InvalidSettings

    try:
        url = read_url(text, "The URL")
    except InvalidSettings:
        return text, None
    if url.password is None:
        return text, None
    bare = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
    return bare.render_as_string(hide_password=False), str(url.password)


def _access_of_block(name: str) -> StoreAccess | None:
    """Return what a block says; None when there is none of this name."""
    with _lock:
        asked, access = _said.get(name, (float("-inf"), None))
        if time.monotonic() - asked < _BLOCK_SECONDS:
            return access
    access = _ask_for_block(name)
    with _lock:
        _said[name] = (time.monotonic(), access)
    return access


def _ask_for_block(name: str) -> StoreAccess | None:
    import httpx
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
    from pydantic import ValidationError

    from headgate.prefect.block import HeadgateStore
    from headgate.store.errors import InvalidSettings, StoreUnavailable

    try:
        block: Any = HeadgateStore.load(name, _sync=True)  # type: ignore[call-arg]
    except ValidationError as error:
        raise InvalidSettings(
            f"The block {name!r} of the type headgate-store can't be read: {error.error_count()} fields are wrong.",
            remedy="Save it again with this version of Headgate.",
            block=name,
        ) from error
    except (ObjectNotFound, ValueError):  # Prefect's word for a block that is not there
        return None
    except (PrefectHTTPStatusError, httpx.HTTPError) as error:
        raise StoreUnavailable(
            f"Prefect's server did not say what the block {name!r} is: {error}", remedy="Try again.", block=name
        ) from error
    return access_of(block)


def _secrets_of(settings: Any) -> tuple[str, ...]:
    """Return what ``model_dump_json`` masks: two stores that differ only there are two."""
    from pydantic import SecretStr

    values = (getattr(settings, name) for name in type(settings).model_fields)
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))
