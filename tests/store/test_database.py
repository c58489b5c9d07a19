"""The store's URL, its transactions, and what they promise on each database."""

from __future__ import annotations

import importlib.util
import pickle
import socket
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from headgate.store.access import StoreAccess
from headgate.store.database import Database, store_url
from headgate.store.entities import Metric
from headgate.store.errors import InvalidSettings, StoreUnavailable
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.tables import metadata

CANARY = "canary-7f3a"
TAG = metadata.tables["headgate_experiment_tag"]


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "attributes", ""))


# The URL


@pytest.mark.parametrize(
    ("said", "drivername"),
    [
        ("postgresql://me@host/db", "postgresql+psycopg"),
        ("postgres://me@host/db", "postgresql+psycopg"),
        ("mysql://me@host/db", "mysql+pymysql"),
        ("mariadb://me@host/db", "mariadb+pymysql"),
        ("postgresql+psycopg2://me@host/db", "postgresql+psycopg2"),
        ("sqlite+pysqlite:///file.db", "sqlite"),
    ],
)
def test_url_gets_the_driver_that_the_extras_install(said: str, drivername: str) -> None:
    assert store_url(said, Settings()).drivername == drivername


def test_sqlite_path_is_absolute_wherever_a_child_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///here.db") as store:
        run_id = store.runs.open("0").info.run_id
        url = store.url
    monkeypatch.chdir("/")

    with open_store(url) as store:
        assert store.runs.get_info(run_id)
    assert (tmp_path / "here.db").exists()


def test_url_comes_from_the_environment_or_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path))
    assert store_url(None, Settings()).database == str(tmp_path / "headgate.db")

    monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/other.db")
    assert store_url(None, Settings()).database == str(tmp_path / "other.db")
    assert store_url(f"sqlite:///{tmp_path}/said.db", Settings()).database == str(tmp_path / "said.db")


@pytest.mark.parametrize(
    "said",
    [
        f"postgresql//me:{CANARY}@host/db",
        f"://me:{CANARY}@host",
        f"postgresql://me:{CANARY}@host:port/db",
        f"just {CANARY}",
        f"oracle://me:{CANARY}@host/db",
        f"mssql+pyodbc://me:{CANARY}@host/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_urls_that_are_no_store_are_refused_without_repeating_them(said: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        store_url(said, Settings())

    assert raised.value.remedy
    assert raised.value.exit_code == 2
    assert CANARY not in everything_said(raised.value)


@pytest.mark.parametrize("said", [{}, {"busy_timeout": CANARY}], ids=["in the environment", "by a host"])
def test_a_setting_of_no_use_is_named_and_not_repeated(
    said: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_BUSY_TIMEOUT", CANARY)
    access = StoreAccess(f"sqlite:///{tmp_path}/headgate.db", settings=said)
    with pytest.raises(InvalidSettings, match="busy_timeout" if said else "HEADGATE_BUSY_TIMEOUT") as raised:
        access.open()
    assert CANARY not in everything_said(raised.value)


@pytest.mark.parametrize("backend", ["postgresql", "mysql", "mariadb"])
def test_missing_driver_names_the_extra(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(InvalidSettings, match="is not installed") as raised:
        store_url(f"{backend}://me:{CANARY}@host/db", Settings())

    extra = "postgres" if backend == "postgresql" else "mysql"
    assert f"headgate[{extra}]" in raised.value.remedy
    assert CANARY not in everything_said(raised.value)


@pytest.mark.parametrize("driver", ["postgresql+nosuch", "mysql+nosuch", "postgresql+pg8000"])
def test_named_driver_that_is_missing_is_a_setting_to_correct(driver: str) -> None:
    with pytest.raises(InvalidSettings, match="is not installed") as raised:
        open_store(f"{driver}://me:{CANARY}@host/db", artifact_root="/nowhere")

    assert CANARY not in everything_said(raised.value)


def test_server_database_needs_an_artifact_root() -> None:
    with pytest.raises(InvalidSettings, match="nothing says where artifacts go") as raised:
        open_store(f"postgresql://me:{CANARY}@host/db")

    assert "HEADGATE_ARTIFACT_ROOT" in raised.value.remedy


def test_artifacts_go_beside_the_sqlite_file_unless_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/headgate.db"

    with open_store(url) as store:
        assert store.artifact_root == str(tmp_path / "artifacts")
    with open_store(url, artifact_root="s3://bucket/prefix/") as store:
        assert store.artifact_root == "s3://bucket/prefix"
    with open_store(url, settings=Settings(artifact_root=str(tmp_path / "elsewhere"))) as store:
        assert store.artifact_root == str(tmp_path / "elsewhere")


# Secrets and laziness


@pytest.fixture
def port_of_nobody() -> Iterator[int]:
    """A port that refuses connections and that nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def unreachable(backend: str, port: int) -> str:
    return f"{backend}://me:{CANARY}@127.0.0.1:{port}/db"


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_server_that_does_not_answer_is_transient_and_keeps_the_secret(backend: str, port_of_nobody: int) -> None:
    with pytest.raises(StoreUnavailable, match="did not answer") as raised:
        open_store(unreachable(backend, port_of_nobody), artifact_root="/nowhere")

    error = raised.value
    assert error.retryable
    assert "***" in error.url
    assert CANARY not in everything_said(error)
    assert CANARY not in everything_said(pickle.loads(pickle.dumps(error)))


def test_nothing_connects_before_it_is_used(port_of_nobody: int) -> None:
    settings = Settings()
    database = Database(store_url(unreachable("postgresql", port_of_nobody), settings), settings)
    store = Store(database, "/nowhere", settings)

    assert store.runs is store.runs
    assert database.dialect == "postgresql"
    database.close()
    with pytest.raises(StoreUnavailable), database.read():
        pass


def test_passwords_are_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_STORE_URL", f"postgresql://me:{CANARY}@host/db")
    settings = Settings()
    database = Database(store_url(None, settings), settings)
    store = Store(database, "/nowhere", settings)

    assert CANARY in store.url  # a child process needs it
    for shown in (repr(store), str(store), store.display_url, repr(settings), str(settings), repr(database.engine)):
        assert CANARY not in shown


def test_folder_that_cannot_be_made_is_a_setting_to_correct(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InvalidSettings, match="can't be made"):
        open_store(f"sqlite:///{tmp_path}/file/headgate.db")


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="which is a folder") as raised:
        open_store(f"sqlite:///{tmp_path}")

    assert raised.value.remedy == "Name a file in it: sqlite:///path/to/headgate.db."


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/headgate.db"
    open_store(url).close()

    database = Database(store_url(url, Settings()), Settings())
    with database.read() as connection:
        connection.execute(sa.text("PRAGMA query_only=ON"))  # of the pooled connection
    with pytest.raises(StoreUnavailable, match="readonly database") as raised:
        database.transact(lambda connection: connection.execute(sa.text("DELETE FROM headgate_run")))

    database.close()
    assert "may write this file and its folder" in raised.value.remedy
    assert ".." not in raised.value.message


def test_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are my notes, not a database\n" * 100)

    with pytest.raises(InvalidSettings, match="not a database"):
        open_store(f"sqlite:///{path}")

    assert path.read_text().startswith("these are my notes")


# Transactions


def test_write_is_undone_when_an_error_passes_through(store: Store) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.insert(TAG), {"experiment_id": 0, "key": "a", "value": "b"})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.database.transact(work)
    with pytest.raises(ZeroDivisionError), store.database.write() as connection:
        work(connection)

    assert store.experiments.get("0").tags == {}


def test_referential_integrity_is_kept_and_not_retried(store: Store) -> None:
    tries = []

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(sa.insert(TAG), {"experiment_id": 999, "key": "a", "value": "b"})

    with pytest.raises(IntegrityError):
        store.database.transact(work)

    assert tries == [1]


def test_reading_sees_one_moment_while_others_write(sqlite_store: Store) -> None:
    with sqlite_store.database.read() as connection:
        count = sa.select(sa.func.count()).select_from(metadata.tables["headgate_experiment"])
        before = connection.scalar(count)
        sqlite_store.experiments.create("made meanwhile")
        assert connection.scalar(count) == before

    assert len(sqlite_store.experiments.list().items) == 2


def test_read_modify_write_loses_nothing(sqlite_store: Store) -> None:
    sqlite_store.experiments.set_tag("0", "count", "0")
    mine = sa.and_(TAG.c.experiment_id == 0, TAG.c.key == "count")

    def add_one(connection: sa.Connection) -> None:
        count = int(connection.scalar(sa.select(TAG.c.value).where(mine)) or 0)
        connection.execute(sa.update(TAG).where(mine).values(value=str(count + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: sqlite_store.database.transact(add_one), range(200)))

    assert sqlite_store.experiments.get("0").tags == {"count": "200"}


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
def test_deadlocked_transactions_are_tried_again(store: Store) -> None:
    for key in ("a", "b"):
        store.experiments.set_tag("0", key, "")
    both_hold_one = Barrier(2)
    tries: list[str] = []

    def write(order: str) -> None:
        def work(connection: sa.Connection) -> None:
            tries.append(order)
            for place, key in enumerate(order):
                mine = sa.update(TAG).where(TAG.c.experiment_id == 0, TAG.c.key == key)
                connection.execute(mine.values(value=TAG.c.value + order[0]))
                if place == 0 and tries.count(order) == 1:
                    both_hold_one.wait(120)

        store.database.transact(work)

    def run(order: str) -> None:
        write(order)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ["ab", "ba"]))

    assert len(tries) >= 3
    tags = store.experiments.get("0").tags
    assert sorted(tags["a"]) == sorted(tags["b"]) == ["a", "b"]


class _Deadlock(Exception):
    sqlstate = "40P01"


def test_a_transaction_that_is_always_undone_ends_as_transient(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.store.database.time.sleep", lambda _: None)
    tries = []

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        raise OperationalError("UPDATE x", {}, _Deadlock("deadlock detected"))

    with pytest.raises(StoreUnavailable, match="deadlock detected") as raised:
        sqlite_store.database.transact(work)

    assert raised.value.retryable
    assert len(tries) > 3


def test_other_failures_are_not_tried_again(sqlite_store: Store) -> None:
    tries = []

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        raise OperationalError("UPDATE x", {}, Exception("disk I/O error"))

    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        sqlite_store.database.transact(work)

    assert tries == [1]


def test_waiting_for_sqlites_lock_ends_as_transient(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/headgate.db"
    with open_store(url) as holder, open_store(url, settings=Settings(busy_timeout=0.05)) as waiting:
        with holder.database.write(), pytest.raises(StoreUnavailable, match="database is locked"):
            waiting.experiments.create("late")

        waiting.experiments.create("in time")


def test_reader_is_not_kept_waiting_by_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/headgate.db"
    with open_store(url) as holder, open_store(url, settings=Settings(busy_timeout=0.05)) as reader:
        with holder.database.write() as connection:
            connection.execute(sa.insert(TAG), {"experiment_id": 0, "key": "a", "value": "b"})
            assert reader.experiments.get("0").tags == {}
        assert reader.experiments.get("0").tags == {"a": "b"}


@pytest.mark.parametrize(("said", "level"), [("NORMAL", 1), ("FULL", 2), ("EXTRA", 3)])
def test_sqlite_is_set_up_for_many_writers(tmp_path: Path, said: str, level: int) -> None:
    url = f"sqlite:///{tmp_path}/headgate.db"
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with (
        open_store(url, settings=Settings(sqlite_synchronous=said)) as store,
        store.database.read() as connection,
    ):
        settings = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}

    assert settings == {"journal_mode": "wal", "synchronous": level, "foreign_keys": 1, "busy_timeout": 30_000}


def test_threads_share_a_store(store: Store) -> None:
    run_id = store.runs.open("0").info.run_id
    started = Event()

    def log(thread: int) -> None:
        started.wait(120)
        for step in range(5):
            store.metrics.log(run_id, [Metric(f"m{thread}", float(step), step, step), Metric("m", 1.0, thread, step)])

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(log, thread) for thread in range(4)]
        started.set()
        for future in futures:
            future.result()

    assert len(store.metrics.history(run_id, "m").items) == 20
    assert {point.step for point in store.metrics.latest(run_id).values()} == {4}
    assert sorted(store.metrics.latest(run_id)) == ["m", "m0", "m1", "m2", "m3"]


def test_closed_store_may_be_used_again(store: Store) -> None:
    store.close()

    assert store.experiments.get("0").name == "Default"
