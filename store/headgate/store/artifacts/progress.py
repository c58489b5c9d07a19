"""Counting bytes that several threads transfer."""

from __future__ import annotations

import threading

from headgate.store.artifacts.protocol import ProgressCallback


class ProgressMeter:
    """Adds up increments from any thread and tells the callback the sum, one call at a time.

    Args:
        callback: who is told; None counts silently.
        total: bytes in total.
    """

    def __init__(self, callback: ProgressCallback | None, total: int) -> None:
        self._callback = callback
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self.add(0)

    def add(self, amount: int) -> None:
        """Count ``amount`` more bytes; negative when a part starts again."""
        with self._lock:
            self._done += amount
            if self._callback is not None:
                self._callback(self._done, self._total)
