"""``watch_model``: look after a promotion, and roll it back when what is measured breaks the watch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task
from headgate.tasks.watch.look import Watched

if TYPE_CHECKING:
    from headgate.store.entities import Promotion
    from headgate.tasks.stopping import StopRequest
    from headgate.tasks.watch.model import Watch

_EVERY_SECONDS = 300.0
_LOOK_SECONDS = 0.2


@headgate_task(task_run_name="watch-{model_name}")
def watch_model(
    watch: str | Path | Mapping[str, Any] | Watch,
    *,
    model_name: str,
    target: str = "@champion",
    promotion: str | Promotion | None = None,
    rolls_back: bool = True,
    every: float | None = _EVERY_SECONDS,
    store: str | None = None,
) -> Watched:
    """Look after a promotion until the window of its watch ends; roll it back as soon as the watch is broken.

    A window may be longer than a flow run should be: with ``every=None`` the task looks once, for a deployment with a
    schedule of its own. It may look as often as one likes: a judgement that is final is recorded, and a rollback made,
    once. The rollback is told to Prefect as an event, as any other.

    Args:
        watch: the path of a watch file, which starts at the folder of the flow's file; a mapping; or a Watch.
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        promotion: the promotion to look after, its id or what ``promote_model`` returned; None takes the last one.
        rolls_back: roll back what breaks the watch; otherwise it is only recorded.
        every: seconds between two looks; None looks once.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        What was found. Its outcome is ``pass``, or ``hold`` where something else holds the target by now, or where
        one look found the window open.

    Raises:
        GateRejected: the watch was broken; ``rollback_id`` names the rollback, if one was made.
        GateErrored: the window ended with too few measurements.
        HeadgateError: as :func:`headgate.tasks.look_after_promotion`. No retry is spent on a judgement.
    """
    from headgate.prefect.channel import delivery_claim, tell_promotion
    from headgate.prefect.identity import actor, open_parent_run
    from headgate.prefect.places import flow_folder
    from headgate.prefect.processes import at_work
    from headgate.prefect.store_access import open_store_of
    from headgate.store.entities import Outcome
    from headgate.tasks.watch.file import watch_of
    from headgate.tasks.watch.look import look_after_promotion, watch_error

    read = watch_of(watch, flow_folder())
    promotion_id = promotion if promotion is None or isinstance(promotion, str) else promotion.promotion_id
    with open_store_of(store) as opened, at_work() as stop:
        run_id = open_parent_run(opened)
        while True:
            found = look_after_promotion(
                opened,
                read,
                model_name,
                target,
                promotion_id=promotion_id,
                rolls_back=rolls_back,
                actor=actor(),
                run_id=run_id,
                claim=delivery_claim() if rolls_back else None,
            )
            promotion_id = found.promotion.promotion_id
            is_open = found.outcome is Outcome.HOLD and not found.superseded
            if not is_open or every is None:
                break
            _wait(min(every, max(0.0, found.until / 1000 - time.time())), stop)
        if found.rollback is not None:
            tell_promotion(opened, found.rollback.promotion_id)
    get_run_logger().info("The watch %s over version %s says %s", read.name, found.promotion.to_version, found.outcome)
    if not is_open and (error := watch_error(found)) is not None:
        raise error
    return found


def _wait(seconds: float, stop: StopRequest) -> None:
    """Wait for the next look, unless the flow run ends before.

    Raises:
        RunKilled: it did.
    """
    from headgate.store.errors import RunKilled

    until = time.monotonic() + max(seconds, _LOOK_SECONDS)
    while (left := until - time.monotonic()) > 0:
        if stop.reason is not None:
            raise RunKilled(f"The watch was left: {stop.reason}. The next look goes on with it.", reason=stop.reason)
        time.sleep(min(left, _LOOK_SECONDS))
