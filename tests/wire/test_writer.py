"""Where writes are written: by the event loop itself when that is quick, by the writer's thread when it is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store.entities import Metric
from headgate.store.errors import ParamChanged
from headgate.store.run_batches import RunBatch
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire.principal import ANYBODY, Principal, Role
from headgate.wire.writer import Write, Writer

PATIENCE = 60.0


@dataclass
class Watched:
    """A store whose groups are noted: their sizes, and whether a thread of the writer's wrote them."""

    store: Store
    groups: list[tuple[int, bool]] = field(default_factory=list)

    def new_run(self) -> str:
        return self.store.runs.open("0").info.run_id


def watched(store: Store, monkeypatch: pytest.MonkeyPatch) -> Watched:
    watching = Watched(store)
    log_batches = store.runs.log_batches

    def noting(_: object, batches: Sequence[RunBatch], *, wait: bool = True) -> Any:
        in_thread = threading.current_thread() is not threading.main_thread()
        refusals = log_batches(batches, wait=wait)
        watching.groups.append((len(batches), in_thread))
        return refusals

    monkeypatch.setattr(type(store.runs), "log_batches", noting)
    return watching


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=str(tmp_path), settings=Settings()) as store:
        yield watched(store, monkeypatch)


def metrics(number: int) -> list[Metric]:
    return [Metric("m", step / 7, 1_790_000_000_000 + step, step) for step in range(number)]


async def submit(writer: Writer, batches: Sequence[RunBatch], principal: Principal = ANYBODY) -> list[Any]:
    writes = [writer.submit(Write(batch, principal)) for batch in batches]
    return await asyncio.wait_for(asyncio.gather(*writes, return_exceptions=True), PATIENCE)


def write(store: Store, batches: Sequence[RunBatch], principal: Principal = ANYBODY) -> list[Any]:
    writer = Writer(store)
    try:
        return asyncio.run(submit(writer, batches, principal))
    finally:
        writer.close()


def test_on_sqlite_the_loop_writes_what_it_has_gathered_in_one_transaction(sqlite: Watched) -> None:
    runs = [sqlite.new_run() for _ in range(8)]
    batches = [RunBatch.of(run, metrics=metrics(1), params={"p": "1"}) for run in runs]
    batches.append(RunBatch.of(runs[0], params={"p": "2"}))

    *answers, refused = write(sqlite.store, batches)

    assert answers == [None] * 8
    assert isinstance(refused, ParamChanged)
    assert sqlite.groups == [(9, False)]
    assert [sqlite.store.runs.get(run).params for run in runs] == [{"p": "1"}] * 8


def test_where_a_commit_waits_for_the_disk_the_thread_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(sqlite_synchronous="FULL")
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=str(tmp_path), settings=settings) as store:
        watching = watched(store, monkeypatch)
        assert write(store, [RunBatch.of(watching.new_run(), metrics=metrics(1))]) == [None]
        assert watching.groups == [(1, True)]


def test_much_is_left_to_the_thread(sqlite: Watched) -> None:
    run = sqlite.new_run()

    assert write(sqlite.store, [RunBatch.of(run, metrics=metrics(1000))]) == [None]

    assert sqlite.groups == [(1, True)]
    assert len(sqlite.store.metrics.history(run, "m").items) == 1000


def test_a_process_of_a_run_is_looked_up_by_the_thread_once(sqlite: Watched) -> None:
    run = sqlite.new_run()
    principal = Principal("somebody", Role.WRITE, run_id=run, experiment_id="0")
    batch = RunBatch.of(run, metrics=metrics(1))
    writer = Writer(sqlite.store)
    try:
        assert asyncio.run(submit(writer, [batch], principal)) == [None]
        assert asyncio.run(submit(writer, [batch], principal)) == [None]
    finally:
        writer.close()
    assert sqlite.groups == [(1, True), (1, False)]


def test_the_loop_goes_on_while_somebody_else_holds_the_write_lock(sqlite: Watched) -> None:
    run = sqlite.new_run()
    other = sa.create_engine(sqlite.store.url)
    writer = Writer(sqlite.store)

    async def held_up() -> list[Any]:
        with other.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(submit(writer, [RunBatch.of(run, metrics=metrics(3))]))
            for _ in range(20):  # the lock would be waited for until the limit, if this loop did
                await asyncio.sleep(0.005)
            assert not waiting.done()
            connection.exec_driver_sql("ROLLBACK")
        return await waiting

    try:
        assert asyncio.run(held_up()) == [None]
    finally:
        writer.close()
        other.dispose()
    assert sqlite.groups == [(1, True)]
    assert len(sqlite.store.metrics.history(run, "m").items) == 3


def test_what_a_loop_has_gathered_is_written_before_the_writer_is_closed(sqlite: Watched) -> None:
    run = sqlite.new_run()
    writer = Writer(sqlite.store)

    async def closing() -> list[Any]:
        waiting = asyncio.ensure_future(submit(writer, [RunBatch.of(run, metrics=metrics(3))]))
        await asyncio.sleep(0)  # it is started,
        await asyncio.sleep(0)  # and has handed its write in
        writer.close()
        assert len(sqlite.store.metrics.history(run, "m").items) == 3
        return await waiting

    assert asyncio.run(closing()) == [None]
