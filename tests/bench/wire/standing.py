"""What a server costs before anybody asks it: the time of its start, and the memory that it holds."""

from __future__ import annotations

import time

from tests.bench.figures import Figure, Samples, durations, share_of
from tests.bench.wire.servers import Place, Running, headgate_server, mlflow_server

_MOST_STARTS = 3
_SECONDS_OF_REST = 3.0
_REST = 0.15  # of a processor, which its many idle processes take


def measure_start_up(place: Place, repeats: int) -> list[Figure]:
    """Measure from the command to the first answer at ``/health``, on databases that were used before."""

    def headgate() -> float:
        with headgate_server(place.headgate, place.folder) as running:
            return running.seconds

    def mlflow() -> float:
        with mlflow_server(place.mlflow, place.folder) as running:
            return running.seconds

    ours, mlflows = durations(
        min(repeats, _MOST_STARTS), ("headgate server", headgate), ("mlflow server to /health", mlflow)
    )
    return [share_of("start to /health", ours, mlflows, at_most=1 / 5)]


def wait_for_rest(running: Running) -> None:
    """Return when a server has nothing to do: mlflow's goes on starting processes for long after it answers."""
    before, now = -_SECONDS_OF_REST, running.processor_seconds()
    while now - before > _REST * _SECONDS_OF_REST:
        time.sleep(_SECONDS_OF_REST)
        before, now = now, running.processor_seconds()


def measure_memory(headgate: Running, mlflow: Running) -> list[Figure]:
    """Measure the memory of all processes of both, once: it hardly varies."""
    ours = Samples("headgate server", (headgate.memory(),), "MB")
    mlflows = Samples("mlflow server", (mlflow.memory(),), "MB")
    return [share_of("memory (PSS)", ours, mlflows, at_most=1 / 15, unit="of its memory")]
