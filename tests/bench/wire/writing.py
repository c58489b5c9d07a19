"""Writing over the wire: single metrics by one client and by eight, metrics in batches, new runs.

What is sent stands ready before the clock starts, and each point is a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count

from tests.bench.figures import Figure, Samples, durations, speed_against
from tests.bench.wire.http_client import Connection, get, post, seconds_at_once
from tests.bench.wire.servers import Running, bare_server

API = "/api/2.0/mlflow"
START = 1_790_000_000_000
CLIENTS = 8
BATCH = 1000
KEYS = tuple(f"metric_{number}" for number in range(10))
# How much of each is one sample: about a second of work for either server.
_SINGLE = {"headgate": 1200, "mlflow": 64, "bare": 2400}
_BATCHES = {"headgate": 40, "mlflow": 4}
_RUNS = {"headgate": 500, "mlflow": 50}


class Client:
    """Eight clients of one server, each with a run of its own in an experiment of their own.

    Args:
        name: ``headgate``, ``mlflow`` or ``bare``; the last keeps nothing, and is asked for no run.
    """

    def __init__(self, name: str, server: Running) -> None:
        self.name = name
        self._server = server
        self._processor: dict[str, list[float]] = {}
        self._steps = count()
        self.experiment_id = "1"
        self._run_ids = ["0" * 32] * CLIENTS
        if name == "bare":
            return
        with Connection(server.url) as connection:
            created = connection.post(f"{API}/experiments/create", {"name": "bench"})
            self.experiment_id = created["experiment_id"]
            for index in range(CLIENTS):
                run = connection.post(f"{API}/runs/create", self._run())["run"]
                self._run_ids[index] = run["info"]["run_id"]

    def log_metrics(self, clients: int) -> float:
        """Return the seconds per request of so many clients at once."""
        each = _SINGLE[self.name] // clients
        work = [[self._metric(run_id) for _ in range(each)] for run_id in self._run_ids[:clients]]
        return self._seconds(f"log_metrics by {clients}", work, each * clients)

    def log_batches(self) -> float:
        """Return the seconds per metric, of one client that sends batches."""
        number = _BATCHES[self.name]
        return self._seconds("log_batches", [list(batches(self._run_ids[0], self._steps, number))], number * BATCH)

    def create_runs(self) -> float:
        """Return the seconds per new run, of one client."""
        number = _RUNS[self.name]
        work = [post(f"{API}/runs/create", self._run()) for _ in range(number)]
        return self._seconds("create_runs", [work], number)

    def processor_time(self, what: str) -> Samples:
        """Return the processor time of the server for one of the things, turn by turn, but for the unmeasured first."""
        return Samples(self.name, tuple(self._processor[what][1:]))

    def _seconds(self, what: str, work: list[list[bytes]], number: int) -> float:
        """Return the seconds for one thing of a number; the clients have sent a first request before that."""
        with ExitStack() as stack:
            connections = [stack.enter_context(Connection(self._server.url)) for _ in work]
            for connection in connections:
                connection.answer(get("/health"))
            before = self._server.processor_seconds()
            seconds = seconds_at_once(list(zip(connections, work, strict=True)))
            spent = self._server.processor_seconds() - before
        self._processor.setdefault(what, []).append(spent / number)
        return seconds / number

    def _run(self) -> dict[str, object]:
        tags = {"mlflow.user": "bench", "mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL"}
        return {
            "experiment_id": self.experiment_id,
            "user_id": "bench",
            "start_time": START,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }

    def _metric(self, run_id: str) -> bytes:
        step = next(self._steps)
        body = {"run_uuid": run_id, "key": "loss", "value": 1 / (step + 1), "timestamp": START + step, "step": step}
        return post(f"{API}/runs/log-metric", {**body, "run_id": run_id})


def batches(run_id: str, steps: Iterator[int], number: int, keys: Sequence[str] = KEYS) -> Iterator[bytes]:
    """Give requests of a thousand metrics each, with equally many points of each key."""
    for _ in range(number):
        metrics = [
            {"key": key, "value": 1 / (step + 1), "timestamp": START + step, "step": step}
            for step in (next(steps) for _ in range(BATCH // len(keys)))
            for key in keys
        ]
        body = {"run_id": run_id, "metrics": metrics, "params": [], "tags": []}
        yield post(f"{API}/runs/log-batch", body)


def measure_writing(headgate: Running, mlflow: Running, repeats: int) -> list[Figure]:
    """Measure on two servers that run, and on a bare application beside them.

    Below the rates stands the processor time of the servers, which tells them apart on a busy machine, too.
    """
    with bare_server() as bare_application:
        ours, mlflows = Client("headgate", headgate), Client("mlflow", mlflow)
        bare = Client("bare", bare_application)

        def both(do: Callable[[Client], float], unit: str) -> list[Samples]:
            return durations(repeats, ("headgate", lambda: do(ours)), ("mlflow server", lambda: do(mlflows)), unit=unit)

        one = both(lambda client: client.log_metrics(1), "requests/s")
        at_once, mlflows_at_once, bare_at_once = durations(
            repeats,
            ("headgate", lambda: ours.log_metrics(CLIENTS)),
            ("mlflow server", lambda: mlflows.log_metrics(CLIENTS)),
            ("bare ASGI app", lambda: bare.log_metrics(CLIENTS)),
            unit="requests/s",
        )
        batched = both(Client.log_batches, "metrics/s")
        created = both(Client.create_runs, "runs/s")
    at_once_name = f"log_metric, {CLIENTS} clients"
    spent = {
        "log_metric, 1 client": "log_metrics by 1",
        at_once_name: f"log_metrics by {CLIENTS}",
        f"a metric of {BATCH:,}": "log_batches",
        "create_run": "create_runs",
    }
    return [
        speed_against("log_metric, 1 client", *one, at_least=10),
        speed_against(at_once_name, at_once, mlflows_at_once, at_least=30),
        speed_against(at_once_name, at_once, bare_at_once, at_least=0.5),
        speed_against(f"metrics in batches of {BATCH:,}", *batched, at_least=10),
        speed_against("create_run, 1 client", *created, at_least=10),
        *(
            speed_against(f"{name}, processor time", client.processor_time(what), other.processor_time(what))
            for name, what in spent.items()
            for client, other in ((ours, mlflows), *([(ours, bare)] if name == at_once_name else []))
        ),
    ]
