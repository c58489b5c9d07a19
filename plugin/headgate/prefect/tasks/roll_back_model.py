"""``roll_back_model``: give an alias or a stage back to whoever held it before."""

from __future__ import annotations

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task
from headgate.store.entities import Promotion


@headgate_task(task_run_name="roll-back-{model_name}")
def roll_back_model(
    model_name: str,
    target: str = "@champion",
    *,
    to_version: int | None = None,
    from_version: int | None = None,
    reason: str | None = None,
    store: str | None = None,
) -> Promotion:
    """Roll back the last promotion of a target: one event of its history, no verdict needed.

    Which version is to go is settled by the first try, and kept with the run of the flow run: a retry, and a flow run
    that runs again, find the rollback that was made, and never go back further. When somebody else holds the target by
    then, the task fails.

    Args:
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        to_version: a version that held the target at some time; None takes the one before the present holder.
        from_version: the version that is to go, for a caller that wants to be sure; None takes the present holder.
        reason: why, for the record; None names the flow run.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        The rollback; its ``to_version`` is None when nobody held the target before.

    Raises:
        HeadgateError: as :func:`headgate.tasks.roll_back`.
    """
    from headgate.prefect.channel import delivery_claim, tell_promotion
    from headgate.prefect.identity import actor, task_run
    from headgate.prefect.identity import reason as reason_of
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.once import roll_back_once

    with open_store_of(store) as opened:
        task = task_run(opened)
        promotion = roll_back_once(
            opened,
            model_name,
            target,
            run_id=task.parent_run_id,
            task=str(task.context.task),
            map_index=task.context.map_index,
            actor=actor(),
            reason=reason_of(reason),
            to_version=to_version,
            from_version=from_version,
            claim=delivery_claim(),
        )
        tell_promotion(opened, promotion.promotion_id)
    get_run_logger().info("Gave %s of %s back to version %s", promotion.target, model_name, promotion.to_version)
    return promotion
