"""``publish_lineage``: show where something comes from on Prefect's pages."""

from __future__ import annotations

from headgate.prefect.tasks.base import headgate_task


@headgate_task(task_run_name="lineage-{subject}")
def publish_lineage(subject: str, *, store: str | None = None) -> str:
    """Make an artifact of where something comes from, and of what came of it.

    Args:
        subject: such as ``models:/churn@champion``, a model id, a run id, or the id of a verdict or a promotion; see
            :meth:`headgate.store.lineage.LineageGraph.of`.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        The artifact's id.

    Raises:
        NotFound: there is no such thing.
        InvalidInput: the subject can't be read.
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    from headgate.prefect.artifacts.lineage import publish_lineage as publish
    from headgate.prefect.store_access import open_store_of

    with open_store_of(store) as opened:
        return str(publish(opened, subject))
