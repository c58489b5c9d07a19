"""How a run is asked to stop: from another thread, or by a signal to this process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

from headgate.store.errors import RunKilled

# SIGINT is not among them: Python raises KeyboardInterrupt for it.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Asks a run to stop; may be made from any thread, and more than once (the first reason counts)."""

    def __init__(self) -> None:
        self._reason: str | None = None

    def request(self, reason: str) -> None:
        """Ask. ``reason`` is a clause such as ``the lease was lost``; it ends up in the run's tags."""
        if self._reason is None:
            self._reason = reason

    @property
    def reason(self) -> str | None:
        """Why; None while nobody has asked."""
        return self._reason


class Terminated(BaseException):
    """This process got a signal that ends it. Not an ``Exception``: nothing may swallow it on its way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.reason = f"the process got {signal.Signals(number).name}"


@contextmanager
def raise_on_signals(stop: StopRequest) -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread on SIGTERM and SIGHUP, and put the old handlers back at the end.

    Only the first signal raises, so that what it starts (stopping processes, recording the end) is not cut short by
    the next; ``stop`` is asked in any case, for the case that somebody's ``except`` swallows what was raised. In
    another thread than the main one nothing is installed, because Python does not allow it. A signal that is ignored
    (``nohup``) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def handler(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a fork that kept our handlers
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            return
        first = stop.reason is None
        stop.request(f"the process got {signal.Signals(number).name}")
        if first:
            raise Terminated(number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # None is a handler that was not installed from Python: it could not be put back.
    ours = [number for number, old in before.items() if old is not None and old is not signal.SIG_IGN]
    try:
        for number in ours:
            signal.signal(number, handler)
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


@contextmanager
def killed_by_signals(
    stop: StopRequest, subject: str, *, handle_signals: bool = True, facts: Callable[[], Mapping[str, Any]] = dict
) -> Iterator[None]:
    """Let a signal end the block, as :func:`raise_on_signals` does, and have it end with an error of Headgate's.

    Args:
        stop: is asked by the signal.
        subject: what the block does, for the message: ``Entry point 'train' of churn``.
        handle_signals: False leaves the handlers alone; what a host's own raise as :class:`Terminated` ends it all the
            same.
        facts: attributes of the error, asked for when it is made.

    Raises:
        RunKilled: a signal ended the block.
    """
    with raise_on_signals(stop) if handle_signals else nullcontext():
        try:
            yield
        except Terminated as signal_:
            raise RunKilled(f"{subject} was stopped: {signal_.reason}.", reason=signal_.reason, **facts()) from signal_
