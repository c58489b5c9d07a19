"""``WatchModelOperator``: look after a promotion, and roll it back when what is measured breaks the watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.sensor import BaseSensorOperator, PokeReturnValue

from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.airflow.operators.base import StoreTask
from headgate.airflow.rejection import Rejection
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.tasks.watch.look import Watched
    from headgate.tasks.watch.model import Watch

_EVERY_SECONDS = 300.0
_LONGEST_SECONDS = 3650 * 86_400.0


class WatchModelOperator(Rejection, StoreTask, BaseSensorOperator):
    """Look after a promotion until the window of its watch ends; roll it back as soon as the watch is broken.

    A sensor that reschedules itself: no worker's slot is held between two looks. A retry, and a clear, find the
    judgement and the rollback that were made. When something else holds the target, the task succeeds: there is nothing
    to look after any more.

    Returns a reference to what was found: ``outcome`` (``pass``, ``reject`` or ``error``), the promotion, the verdict
    that records it, ``rollback_id`` (or None), ``superseded``, and the reasons of what did not hold.

    Args:
        watch: the path of a watch file, which starts at the folder of the DAG's file; a mapping; or a Watch.
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        promotion: the id of a promotion, or the output of a ``PromoteModelOperator``, which has to have promoted; None
            takes the last one, whoever made it.
        rolls_back: roll back what breaks the watch; otherwise it is only recorded.
        on_reject, on_reject_tasks, on_pass_tasks: how the task ends when the watch was broken, as ``GateOperator``
            takes them. A window that ended with too few measurements always fails it.
        poke_interval: seconds between two looks.
    """

    template_fields: Sequence[str] = (
        *("headgate_conn_id", "watch", "model_name", "target", "promotion"),
        *("on_reject_tasks", "on_pass_tasks"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"watch": "json"}
    ui_color = "#e3f2ec"

    def __init__(
        self,
        *,
        watch: str | Path | Mapping[str, Any] | Watch,
        model_name: str,
        target: str = "@champion",
        promotion: str | Mapping[str, Any] | None = None,
        rolls_back: bool = True,
        headgate_conn_id: str = DEFAULT_CONN_ID,
        on_reject: str = "fail",
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        poke_interval: float = _EVERY_SECONDS,
        mode: str = "reschedule",
        timeout: float = _LONGEST_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, mode=mode, timeout=timeout, **kwargs)
        self.watch = watch
        self.model_name = model_name
        self.target = target
        self.promotion = promotion
        # When the task runs, the output of a task that was skipped is None, too.
        self._watches_last = promotion is None
        self.rolls_back = rolls_back
        self.headgate_conn_id = headgate_conn_id
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        self.say_on_reject(on_reject, on_reject_tasks, on_pass_tasks)

    def execute(self, context: Context) -> Any:
        """Look; end the task, or let it be scheduled again for the next look."""
        with self.at_work(context):
            return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        from headgate.airflow.identity import actor_of, open_parent_run
        from headgate.store.entities import Outcome
        from headgate.tasks.watch.file import watch_of
        from headgate.tasks.watch.look import look_after_promotion, watch_error

        with self.open_store() as store:
            found = look_after_promotion(
                store,
                watch_of(self.watch, context["dag"].folder),
                self.model_name,
                self.target,
                promotion_id=self._promotion_id(),
                rolls_back=self.rolls_back,
                actor=actor_of(context),
                run_id=open_parent_run(store, context),
            )
        reference = watch_reference(found)
        self.log.info("%s: %s", self.model_name, reference)
        if found.superseded:
            return PokeReturnValue(True, self.accepted(context, reference))
        if found.outcome is Outcome.HOLD:
            return PokeReturnValue(False)
        error = watch_error(found)
        if error is None:
            return PokeReturnValue(True, self.accepted(context, reference))
        if found.outcome is Outcome.ERROR:
            self.no_answer(context, reference, error)
        return PokeReturnValue(True, self.rejected(context, reference, error))

    def _promotion_id(self) -> str | None:
        if self._watches_last:
            return None
        said = self.promotion.get("promotion_id") if isinstance(self.promotion, Mapping) else self.promotion
        if not said or said == "None":
            raise InvalidInput(
                f"Task {self.task_id!r} has no promotion to look after: {self.promotion!r:.200}.",
                remedy="Let it follow a task that promoted: one that was skipped or rejected promoted nothing. Or "
                "leave promotion out, to look after the last one, whoever made it.",
            )
        return str(said)


def watch_reference(found: Watched) -> dict[str, Any]:
    """Return what a watch hands on: small, and JSON."""
    from headgate.store.entities import Outcome

    broken = [check for check in found.checks if check.outcome in (Outcome.REJECT, Outcome.ERROR)]
    return {
        "promotion_id": found.promotion.promotion_id,
        "model_name": found.promotion.model_name,
        "target": found.promotion.target,
        "version": found.promotion.to_version,
        "outcome": str(found.outcome),
        "until": found.until,
        "superseded": found.superseded,
        "verdict_id": None if found.verdict is None else found.verdict.verdict_id,
        "rollback_id": None if found.rollback is None else found.rollback.promotion_id,
        "reasons": [f"{check.rule}: {check.message}" for check in broken],
    }
