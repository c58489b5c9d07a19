"""Which store a task, a listener or a page writes to: what an Airflow connection says, or else the environment.

A connection of type ``headgate`` holds the store's URL, the artifact root and any other setting in its extra, and the
credentials in its login and password. It is looked up through Airflow's secrets backends; Airflow's own database is
never opened for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headgate.airflow.versions import in_server, in_task
from headgate.store.access import StoreAccess, environment_names_store, read_url

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from headgate.store.store import Store

CONNECTION_TYPE = "headgate"
DEFAULT_CONN_ID = "headgate_default"

_SERVER_DIALECTS = ("mariadb", "mysql", "postgres", "postgresql")


# What connections said to tasks of this process: ``dag.test()`` hears of the end of a DAG run outside of any task,
# where connections of Airflow's database can't be asked for.
_said: dict[str, StoreAccess] = {}


@contextmanager
def open_store_of(conn_id: str = DEFAULT_CONN_ID) -> Iterator[Store]:
    """Open the store that a connection names, and close it in the end.

    Args:
        conn_id: of an Airflow connection of type ``headgate``. When there is none called ``headgate_default``, the
            ``HEADGATE_*`` variables of the environment are taken.

    Raises:
        InvalidSettings: there is no such connection, it can't be read, or nothing names a store.
        StoreUnavailable: the database did not answer; a retry may help.
        SchemaOutdated: the database needs ``headgate db upgrade``.
    """
    access = store_access(conn_id)
    if in_task():
        _said[conn_id] = access
    with access.open() as store:
        yield store


def store_access(conn_id: str) -> StoreAccess:
    """Return what a connection says of the store; see :func:`open_store_of` for what happens without one.

    Raises:
        InvalidSettings: there is no such connection, it can't be read, or nothing names a store.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from headgate.store.errors import InvalidSettings

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if conn_id in _said and not in_task() and not in_server():
            return _said[conn_id]
        if conn_id == DEFAULT_CONN_ID and environment_names_store():
            return StoreAccess()
        raise InvalidSettings(
            f"There is no Airflow connection {conn_id!r}"
            + (", and the environment names no store either." if conn_id == DEFAULT_CONN_ID else "."),
            remedy=f"Add it: airflow connections add {conn_id} --conn-type {CONNECTION_TYPE} --conn-extra "
            '\'{"store_url": "postgresql://user@host/headgate", "artifact_root": "s3://bucket/headgate"}\'; '
            "or set HEADGATE_STORE_URL for every Airflow process.",
            conn_id=conn_id,
        ) from None
    return access_of(connection)


def access_of(connection: Connection) -> StoreAccess:
    """Return what a connection says of the store, with its secrets known to Airflow's log masking.

    Raises:
        InvalidSettings: it is of another type, or its parts make no URL.
    """
    from headgate.store.errors import InvalidSettings
    from headgate.store.settings import Settings

    if connection.conn_type != CONNECTION_TYPE:
        raise InvalidSettings(
            f"The Airflow connection {connection.conn_id!r} is of type {connection.conn_type!r}.",
            remedy=f"Name one of type {CONNECTION_TYPE!r}.",
            conn_id=connection.conn_id,
        )
    extra = {key: value for key, value in connection.extra_dejson.items() if value not in (None, "")}
    url = _url(connection, extra)
    _mask(url)
    root = extra.pop("artifact_root", None)
    unknown = sorted(extra.keys() - Settings.model_fields.keys())
    if unknown:
        raise InvalidSettings(
            f"The extra of the Airflow connection {connection.conn_id!r} has unknown fields: {', '.join(unknown)}.",
            remedy=f"It may have store_url, dialect, artifact_root and: {', '.join(sorted(Settings.model_fields))}.",
            conn_id=connection.conn_id,
        )
    return StoreAccess(url, root, extra)


def _url(connection: Connection, extra: dict[str, Any]) -> str | None:
    """Return the store's URL from the extra, or from host, port and schema, with the connection's login in it."""
    from sqlalchemy import URL

    from headgate.store.errors import InvalidSettings

    said, dialect = extra.pop("store_url", None), extra.pop("dialect", "postgresql")
    if said is None and connection.host and "://" in connection.host:
        said = connection.host
    if said is None:
        if not connection.host:
            return None
        if dialect not in _SERVER_DIALECTS:
            raise InvalidSettings(
                f"The Airflow connection {connection.conn_id!r} has a host and the dialect {dialect!r}.",
                remedy=f"Name one of {', '.join(_SERVER_DIALECTS)}, or write the whole store_url.",
                conn_id=connection.conn_id,
            )
        url = URL.create(dialect, host=connection.host, port=connection.port, database=connection.schema or None)
    else:
        subject = f"The store URL of the Airflow connection {connection.conn_id!r}"
        url = read_url(said, subject, conn_id=connection.conn_id)
    if connection.login and url.username is None:
        url = url.set(username=connection.login)
    if connection.password and url.password is None and url.get_backend_name() != "sqlite":
        url = url.set(password=connection.password)
    return url.render_as_string(hide_password=False)


def _mask(url: str | None) -> None:
    """Have Airflow mask the passwords of a URL in every log line; it knows the connection's own already."""
    from airflow.sdk.log import mask_secret

    from headgate.tasks.projects.secrets import url_passwords

    if url is not None:
        for word in url_passwords(url):
            mask_secret(word)
