"""The time, in the store's unit: UTC epoch milliseconds. Everything that takes ``now`` falls back on this."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def epoch_ms(moment: datetime | None) -> int | None:
    """Return a moment in epoch milliseconds, what is below them cut off; None for none."""
    return None if moment is None else int(moment.timestamp() * 1000)


def iso_date(milliseconds: int) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC, the form of Airflow's ``ts``: ``2026-11-21T03:00:00+00:00``."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000).isoformat()
