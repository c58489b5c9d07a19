"""How a task ends that was told no: ``on_reject`` of the operators that decide, validate, approve and promote.

==========  ============================================================================================================
``fail``    the task fails at once; the no is final, so no retry is spent on it (the default)
``skip``    the task is skipped, and what follows it
``succeed`` the task succeeds; what follows it reads from its XCom what was said
``branch``  the task succeeds, and what follows it is chosen: ``on_reject_tasks`` after a no, what is left after a yes
==========  ============================================================================================================

In all four the XCom is there, pushed before the task ends, and no asset event is emitted: whoever is scheduled by a
promotion is not scheduled by a rejection. What is no answer at all, such as a gate that lacks evidence, always fails.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias
from airflow.sdk.bases.skipmixin import SkipMixin

from headgate.airflow.assets import model_of_asset
from headgate.airflow.openlineage import OpenLineageMethods
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseOperator, Context

    from headgate.store.errors import HeadgateError


_log = logging.getLogger("airflow.task.headgate")


class OnReject(StrEnum):
    """How a task ends that was told no."""

    FAIL = "fail"
    SKIP = "skip"
    SUCCEED = "succeed"
    BRANCH = "branch"


class Rejection:
    """To be mixed into an operator that may be told no, before it.

    The operator calls :meth:`say_on_reject` in its ``__init__``, and returns what :meth:`accepted` or :meth:`rejected`
    return from ``execute``.
    """

    # Airflow then looks at our branches when a task that follows us is cleared.
    inherits_from_skipmixin = True
    # Whether the operator tells of models' assets itself, and of none after a rejection (asset_events.hold_back).
    holds_back_models = False

    on_reject: OnReject
    on_reject_tasks: Sequence[str] | str | None
    on_pass_tasks: Sequence[str] | str | None

    def say_on_reject(
        self,
        on_reject: str,
        on_reject_tasks: Sequence[str] | str | None,
        on_pass_tasks: Sequence[str] | str | None,
    ) -> None:
        """Keep what the operator was told, once it is known to be sound.

        Raises:
            InvalidInput: there is no such way to end, a branch leads nowhere, or the task has outlets that would tell
                of a success after a rejection.
        """
        task_id = getattr(self, "task_id", "")
        if on_reject not in list(OnReject):
            raise InvalidInput(f"on_reject of task {task_id!r} is {on_reject!r}.", remedy=f"Say {', '.join(OnReject)}.")
        self.on_reject = OnReject(on_reject)
        if (self.on_reject is OnReject.BRANCH) != bool(on_reject_tasks):
            raise InvalidInput(
                f"Task {task_id!r} has on_reject={self.on_reject.value!r} and on_reject_tasks={on_reject_tasks!r}.",
                remedy='Say both: on_reject="branch" and the tasks that follow a rejection.',
            )
        if on_pass_tasks and self.on_reject is not OnReject.BRANCH:
            raise InvalidInput(
                f"Task {task_id!r} has on_pass_tasks without a branch.", remedy='Say on_reject="branch" as well.'
            )
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        if self.on_reject not in (OnReject.FAIL, OnReject.SKIP):
            said = f"on_reject={self.on_reject.value!r}"
            self.refuse_plain_outlets(said, 'Give the outlets to a task that follows, or say on_reject="skip".')

    def accepted(self, context: Context, reference: dict[str, Any]) -> dict[str, Any]:
        """End the task after a yes: what the reference says is its XCom."""
        if self.on_reject is OnReject.BRANCH:
            self._push(context, reference)
            self._follow(context, self.on_pass_tasks, leave_out=self.on_reject_tasks)
        self._trace(reference)
        return reference

    def rejected(self, context: Context, reference: dict[str, Any], error: HeadgateError) -> dict[str, Any]:
        """End the task after a no, as it was told to.

        Args:
            reference: what its XCom says.
            error: the no.

        Raises:
            HeadgateError: ``error`` itself, where the task is to fail.
            AirflowSkipException: where it is to be skipped.
        """
        from airflow.sdk.exceptions import AirflowSkipException

        self._push(context, reference)
        if self.on_reject is OnReject.FAIL:
            raise error
        _log.warning("%s", error)
        if self.on_reject is OnReject.SKIP:
            raise AirflowSkipException(error.message) from error
        if self.on_reject is OnReject.BRANCH:
            self._follow(context, self.on_reject_tasks)
        return reference

    def no_answer(self, context: Context, reference: dict[str, Any], error: HeadgateError) -> None:
        """End the task where there was neither a yes nor a no: it fails, its XCom says why.

        Raises:
            HeadgateError: ``error`` itself.
        """
        self._push(context, reference)
        raise error

    def _push(self, context: Context, reference: dict[str, Any]) -> None:
        """Push the XCom before what follows ends the task: then nothing that is returned would be pushed."""
        if getattr(self, "do_xcom_push", True):
            context["ti"].xcom_push(key="return_value", value=reference)
        self._trace(reference)

    def _trace(self, reference: dict[str, Any]) -> None:
        if isinstance(self, OpenLineageMethods):
            self.trace(reference)

    def _follow(
        self, context: Context, said: Sequence[str] | str | None, leave_out: Sequence[str] | str | None = None
    ) -> None:
        """Skip what follows the task and does not belong to ``said``; None is everything but ``leave_out``.

        Raises:
            InvalidInput: a task that is named is not there, or does not follow this one.
        """
        task: Any = context["ti"].task
        direct = {follower.task_id for follower in task.downstream_list}
        chosen = direct - set(_task_ids(task, leave_out or ())) if said is None else set(_task_ids(task, said))
        teardowns = {follower.task_id for follower in task.downstream_list if follower.is_teardown}
        branches = SkipMixin()  # type: ignore[no-untyped-call]
        branches.skip_all_except(context["ti"], sorted(chosen | teardowns))

    def refuse_plain_outlets(self, because: str, remedy: str) -> None:
        """A plain outlet tells of every success; after a rejection there must be none to tell of.

        An alias tells of nothing by itself, and assets of models are held back where the operator says so.

        Args:
            because: by which argument the task succeeds after a rejection.

        Raises:
            InvalidInput: there is such an outlet.
        """
        plain = [
            outlet
            for outlet in getattr(self, "outlets", None) or ()
            if not isinstance(outlet, AssetAlias) and not (self.holds_back_models and model_of_asset(outlet))
        ]
        if plain:
            raise InvalidInput(
                f"Task {getattr(self, 'task_id', '')!r} has {because} and the outlets "
                f"{', '.join(str(getattr(outlet, 'name', outlet)) for outlet in plain)}: Airflow would announce them "
                "after a rejection as well.",
                remedy=remedy,
            )


def _task_ids(task: BaseOperator, said: Sequence[str] | str) -> Iterator[str]:
    """Return the tasks that directly follow ``task`` and are named, by id or by group, as seen from its own group."""
    dag: DAG = task.dag
    direct = {follower.task_id for follower in task.downstream_list}
    group = task.task_group.group_id if task.task_group is not None else None
    for name in [said] if isinstance(said, str) else said:
        names = [name, *([f"{group}.{name}"] if group else [])]
        found = next((known for known in names if known in dag.task_dict or known in dag.task_group_dict), None)
        if found is None:
            raise _no_such_follower(task, name, "there is no such task", direct)
        of_group = dag.task_group_dict.get(found)
        tasks = [found] if of_group is None else [root.task_id for root in of_group.roots]
        if not direct.intersection(tasks):
            raise _no_such_follower(task, name, "it does not directly follow the task", direct)
        yield from tasks


def _no_such_follower(task: BaseOperator, name: str, why: str, direct: set[str]) -> InvalidInput:
    return InvalidInput(
        f"Task {task.task_id!r} can't branch to {name!r}: {why}.",
        remedy=f"It is followed by {', '.join(sorted(direct)) or 'no task'}.",
        task_id=task.task_id,
    )
