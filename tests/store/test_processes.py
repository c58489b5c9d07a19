"""Many processes on one store lose nothing, see no lock and agree with one another."""

from __future__ import annotations

import signal

import pytest

from headgate.store.entities import RunContext, RunStatus
from headgate.store.store import Store
from tests.store import process_work


def test_eight_processes_log_into_one_store_and_lose_nothing(store: Store, store_url: str) -> None:
    workers, rounds = 8, 12
    shared = store.runs.open("0").info.run_id

    own = process_work.together(
        process_work.log_metrics, [(store_url, shared, worker, rounds) for worker in range(workers)]
    )

    for worker, run in enumerate(store.runs.get_many(own)):
        assert run.info.status is RunStatus.FINISHED
        assert run.params == {f"p{step}": str(worker) for step in range(rounds)}
        assert run.tags["step"] == str(rounds - 1)
        assert {key: point.step for key, point in run.metrics.items()} == {"loss": rounds - 1, "acc": rounds - 1}
        assert len(store.metrics.history(run.info.run_id, "loss").items) == rounds
    points = store.metrics.history(shared, "loss").items
    assert sorted((point.value, point.step) for point in points) == [
        (float(worker), step) for worker in range(workers) for step in range(rounds)
    ]
    assert store.metrics.latest(shared)["loss"].value == workers - 1
    tags = store.tags.get(shared)
    assert {tags[f"worker {worker}"] for worker in range(workers)} == {str(rounds - 1)}


def test_experiments_made_at_once_get_a_number_each(store: Store, store_url: str) -> None:
    made = process_work.together(process_work.create_experiments, [(store_url, worker) for worker in range(6)])

    everybodys = {numbers.pop() for numbers in made}
    own = [number for numbers in made for number in numbers]
    assert len(everybodys) == 1
    assert len(set(own)) == len(own) == 18
    assert len(store.experiments.list().items) == 20  # with Default


@pytest.mark.parametrize("attempt", [1, None])
def test_attempts_opened_at_once_leave_one_standing(store: Store, store_url: str, attempt: int | None) -> None:
    opened = process_work.together(process_work.open_attempt, [(store_url, attempt)] * 6)

    attempts = store.runs.attempts(RunContext(pipeline_run_id="scheduled", task="train"))
    assert [info.context.attempt for info in attempts] == ([1] if attempt == 1 else [1, 2, 3, 4, 5, 6])
    assert {run_id for run_id in opened if run_id} <= {info.run_id for info in attempts}
    standing = [info for info in attempts if info.superseded_by is None]
    assert standing == [attempts[-1]]
    assert all(info.status is RunStatus.KILLED for info in attempts[:-1])
    assert store.leases.get(standing[0].run_id) is not None


def test_forked_children_do_not_share_a_connection(store: Store, store_url: str) -> None:
    (codes,) = process_work.together(process_work.log_in_parent_and_forked_children, [(store_url, 3)])

    assert codes == [0, 0, 0]
    latest = store.metrics.latest("forked")
    assert {key: point.step for key, point in latest.items()} == {
        "writer 0": 19,
        "writer 1": 19,
        "writer 2": 19,
        "writer 3": 19,
        "after": 0,
    }
    assert all(len(store.metrics.history("forked", f"writer {writer}").items) == 20 for writer in range(4))


def test_killed_process_leaves_nothing_of_its_batch(store: Store, store_url: str) -> None:
    run = store.runs.open("0")

    assert process_work.alone(process_work.die_before_the_end_of_a_batch, store_url, run.info.run_id) == -signal.SIGKILL

    assert store.runs.get(run.info.run_id) == run
    store.runs.log_batch(run.info.run_id, params={"a": "1"})  # and it holds no lock
