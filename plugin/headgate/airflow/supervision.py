"""A task whose supervisor is dead has nobody to report to, and Airflow starts it again elsewhere: it must stop.

``kill -9`` of a worker leaves its task processes running, and with them what they train, until somebody looks.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headgate.airflow.versions import in_supervised_task

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


@contextmanager
def stopped_with_supervisor() -> Iterator[None]:
    """Send this process SIGTERM when its supervisor dies while the block runs; outside of a task process do nothing."""
    if not in_supervised_task():
        yield
        return
    # What Airflow has loaded stays for the life of this process. Without this, the imports to come make the collector
    # go through all of it, which takes longer than a third of the imports.
    gc.freeze()
    over = threading.Event()
    supervisor = os.getppid()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            if os.getppid() != supervisor:
                log.error("The supervisor of this task, process %d, is gone: stopping", supervisor)
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, name="headgate-supervisor-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
