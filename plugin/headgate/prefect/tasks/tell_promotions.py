"""``tell_promotions``: events and artifacts for what was promoted or rejected outside of this Prefect."""

from __future__ import annotations

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task


@headgate_task(task_run_name="tell-promotions")
def tell_promotions(*, store: str | None = None) -> tuple[str, ...]:
    """Tell Prefect of promotions, rollbacks and rejections made elsewhere, or by a task that died before it could.

    Each becomes an event once, and a promotion an entry in the history of its model, in the order in which they were
    made. The first call subscribes this Prefect: it gets what is decided from then on. Let a flow call it every minute
    or so.

    Args:
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        The ids of the promotions, and of the rejecting verdicts, that this call told of.

    Raises:
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    from headgate.prefect.channel import tell_due
    from headgate.prefect.store_access import open_store_of

    with open_store_of(store) as opened:
        told = tell_due(opened)
    get_run_logger().info("Told of %d promotions and rejections", len(told))
    return told
