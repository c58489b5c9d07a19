"""MLflow's view types: whether a search sees what is active, what is deleted, or both."""

from __future__ import annotations

from headgate.store.entities import LifecycleStage

# In the order of MLflow's enum, whose numbers count as well. None stands for both.
VIEW_TYPES: dict[str, LifecycleStage | None] = {
    "ACTIVE_ONLY": LifecycleStage.ACTIVE,
    "DELETED_ONLY": LifecycleStage.DELETED,
    "ALL": None,
}
