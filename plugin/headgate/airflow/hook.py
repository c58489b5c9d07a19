"""The hook of connections of type ``headgate``, for a task that wants the store itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from headgate.airflow.connection import CONNECTION_TYPE, DEFAULT_CONN_ID, open_store_of

if TYPE_CHECKING:
    from headgate.store.store import Store


class HeadgateHook(BaseHook):
    """Opens the store that a connection names.

    Args:
        headgate_conn_id: of a connection of type ``headgate``; see :func:`headgate.airflow.connection.open_store_of`.
    """

    conn_name_attr = "headgate_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONNECTION_TYPE
    hook_name = "Headgate"

    def __init__(self, headgate_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.headgate_conn_id = headgate_conn_id

    def open_store(self) -> AbstractContextManager[Store]:
        """Give the store for the length of a ``with`` block; errors are those of ``open_store_of``."""
        return open_store_of(self.headgate_conn_id)

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the store answers, for the button of Airflow's connection form."""
        from headgate.store.errors import HeadgateError

        try:
            with self.open_store() as store:
                return True, f"The store at {store.display_url} answers; artifacts go to {store.artifact_root}."
        except HeadgateError as error:
            return False, str(error)
