"""The channel of the outbox that this Airflow is, and who in it may tell a promotion's event.

Several Airflow deployments on one store are several channels: each gets every promotion. Which one this is says the
setting ``[headgate] event_channel``, the same for every process of a deployment.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.deliveries import Claim

DEFAULT_CHANNEL = "airflow"
DEFAULT_POLL_SECONDS = 10.0
# After this, watchers ask Airflow what became of a task that promoted and has not emitted.
TASK_CLAIM_MS = 30_000

_TASK = "task:"


@dataclass(frozen=True, slots=True)
class TaskKey:
    """A task instance of this Airflow, whichever try of it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def owner(self) -> str:
        """What it is called as the owner of a claim."""
        return _TASK + json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def task_key(context: Context) -> TaskKey:
    """Return the key of the task instance that runs in a context."""
    instance = context["ti"]
    map_index = instance.map_index
    return TaskKey(instance.dag_id, instance.run_id, instance.task_id, -1 if map_index is None else map_index)


def task_of_owner(owner: str) -> TaskKey | None:
    """Return which task instance made a claim; None when it was none of Airflow's."""
    return TaskKey(**json.loads(owner.removeprefix(_TASK))) if owner.startswith(_TASK) else None


def task_claim(context: Context, now: int | None = None) -> Claim:
    """Return the claim by which a task is going to emit the event of a promotion that it makes.

    Args:
        now: UTC epoch ms; None takes the current time.
    """
    from headgate.store.clock import now_ms
    from headgate.store.deliveries import Claim

    start = now_ms() if now is None else now
    return Claim(event_channel(), task_key(context).owner, start + TASK_CLAIM_MS)


def event_channel() -> str:
    """Return the channel of the outbox that this Airflow is."""
    from airflow.sdk.configuration import conf

    return str(conf.get("headgate", "event_channel", fallback=DEFAULT_CHANNEL))


def poll_seconds() -> float:
    """Return how long watchers wait between two looks at a store, in seconds."""
    from airflow.sdk.configuration import conf

    return float(conf.getfloat("headgate", "poll_interval", fallback=DEFAULT_POLL_SECONDS))
