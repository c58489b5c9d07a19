"""What every operator of Headgate shares: the store, who acts, and how a task ends.

* An error that a retry would repeat fails the task at once; any other is raised as it is, and spends a retry.
* Airflow's task runner only calls ``on_kill`` when it gets SIGTERM, and lets ``execute`` go on: a task whose process
  ends well in spite of it would be green. So :meth:`StoreTask.on_kill` raises inside of ``execute``, and what was told
  to stop never returns a result.
"""

from __future__ import annotations

import signal
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from headgate.airflow.connection import DEFAULT_CONN_ID, open_store_of
from headgate.airflow.openlineage import OpenLineageMethods
from headgate.airflow.supervision import stopped_with_supervisor
from headgate.store.errors import RunKilled, Terminal
from headgate.tasks.stopping import StopRequest, Terminated

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.store import Store


class StoreTask(OpenLineageMethods):
    """A task that works with the store; to be mixed into an operator, before it."""

    # Of the work that goes on in this process; None before and after it.
    _stop: StopRequest | None = None

    def open_store(self) -> AbstractContextManager[Store]:
        """Give the store for the length of a ``with`` block; errors are those of ``open_store_of``."""
        return open_store_of(self.headgate_conn_id)

    @contextmanager
    def at_work(self, context: Context) -> Iterator[StopRequest]:
        """Do the work of ``execute`` inside of this: its errors become Airflow's, and a kill ends it.

        Gives what says that the task is to stop, for work that goes on in other threads or processes.

        Raises:
            AirflowFailException: for a Terminal error; no retry is spent on it.
            RunKilled: the task was killed, whatever the work made of it; a retry may help.
        """
        from airflow.sdk.exceptions import AirflowFailException

        from headgate.airflow.stores_used import conn_id_of, note_store

        if conn_id_of(context["dag"].get_task(context["task"].task_id)) != self.headgate_conn_id:
            note_store(context, self.headgate_conn_id)
        stop = self._stop = StopRequest()
        try:
            with stopped_with_supervisor():
                yield stop
            if stop.reason is not None:
                raise _killed(stop)
        except Terminated as killed:
            raise _killed(stop) from killed
        except Terminal as error:
            raise AirflowFailException(str(error)) from error
        finally:
            self._stop = None

    def on_kill(self) -> None:
        """Stop the work; Airflow calls this on SIGTERM, and after a timeout, when the work has ended already."""
        stop = self._stop
        if stop is None:
            return
        first = stop.reason is None
        stop.request("Airflow stopped the task")
        if first and threading.current_thread() is threading.main_thread():
            raise Terminated(signal.SIGTERM)


class HeadgateOperator(StoreTask, BaseOperator):
    """The base of Headgate's operators. A subclass does its work in :meth:`work`.

    Args:
        headgate_conn_id: of the connection that names the store; without one of the default name, the ``HEADGATE_*``
            variables of the environment do.
    """

    template_fields: Sequence[str] = ("headgate_conn_id",)
    ui_color = "#e3f2ec"

    def __init__(self, *, headgate_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.headgate_conn_id = headgate_conn_id

    def execute(self, context: Context) -> Any:
        """Do the work; how it may end is said at :meth:`StoreTask.at_work`."""
        with self.at_work(context):
            result = self.work(context)
            self.trace(result)
            if self.outlets and isinstance(result, Mapping):
                self._describe_outlets(context, result)
            return result

    @abstractmethod
    def work(self, context: Context) -> Any:
        """Do what the operator is for, and return what its XCom holds."""

    @staticmethod
    def _describe_outlets(context: Context, reference: Mapping[str, Any]) -> None:
        """Have the events of the user's own outlets say what the task hands on."""
        from headgate.airflow.asset_events import describe_outlets

        describe_outlets(context, reference)

    @property
    def stop(self) -> StopRequest:
        """What says that the task is to stop; only while it works."""
        assert self._stop is not None
        return self._stop


def _killed(stop: StopRequest) -> RunKilled:
    return RunKilled(f"The task was killed: {stop.reason}.", reason=stop.reason)
