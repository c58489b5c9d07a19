"""Time in tests: what is ordered by time needs times that differ."""

from __future__ import annotations

import time

from headgate.store.clock import now_ms


def in_another_millisecond() -> None:
    """Wait until the clock has moved. What was made in one millisecond stands in an order by chance."""
    before = now_ms()
    while now_ms() == before:
        time.sleep(0.0002)
