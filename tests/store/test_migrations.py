"""Migrations: the scripts make what the tables say, once, whoever starts when, and after a crash too."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store import migrate
from headgate.store.database import Database, store_url
from headgate.store.errors import SchemaOutdated, SchemaTooNew, StoreUnavailable
from headgate.store.migrations import steps
from headgate.store.settings import Settings
from headgate.store.store import open_store
from headgate.store.tables import metadata
from tests.store import process_work

NEXT_REVISION = '''
"""Made by a test."""
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("headgate_experiment", sa.Column("color", sa.String(length=16), nullable=True))
    {then}
'''


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any tables."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    server = sa.create_engine(request.getfixturevalue(f"{dialect}_server"), isolation_level="AUTOCOMMIT")
    name = f"headgate_empty_{uuid.uuid4().hex[:16]}"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name}{' WITH (FORCE)' if dialect == 'postgresql' else ''}"))
    server.dispose()


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    """A database without any tables."""
    opened = Database(store_url(empty_url, Settings()), Settings())
    yield opened
    opened.close()


def tables(database: Database) -> set[str]:
    return set(sa.inspect(database.engine).get_table_names())


def test_head_is_the_newest_script() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(migrate.alembic_config()).get_heads() == [migrate.HEAD]


def test_scripts_make_what_the_tables_say(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate.upgrade(database)

    with database.engine.connect() as connection:
        options = {"version_table": migrate.VERSION_TABLE, "compare_type": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert differences == []
    assert tables(database) == {*metadata.tables, migrate.VERSION_TABLE}


def test_upgrade_runs_twice(database: Database) -> None:
    assert migrate.current_revision(database) is None
    assert migrate.upgrade(database) == (None, migrate.HEAD)
    assert migrate.upgrade(database) == (migrate.HEAD, migrate.HEAD)
    assert migrate.current_revision(database) == migrate.HEAD


def test_eight_processes_open_a_new_database_at_once(empty_url: str, database: Database) -> None:
    ids = process_work.together(process_work.open_and_make_a_run, [(empty_url,)] * 8)

    assert len(set(ids)) == 8
    assert migrate.current_revision(database) == migrate.HEAD
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables["headgate_run"])) == 8
        assert connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables["headgate_experiment"])) == 1


def test_revision_that_appears_between_two_looks_is_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    inspect = sa.inspect

    def slow_look(connection: sa.Connection) -> Any:
        monkeypatch.undo()
        another = Database(database.url, Settings())
        migrate.upgrade(another)
        another.close()
        return inspect(connection)

    with database.read():  # there is a file to look at
        pass
    monkeypatch.setattr(sa, "inspect", slow_look)

    assert migrate.current_revision(database) == migrate.HEAD


@pytest.mark.parametrize("steps_done", [1, 20])
def test_upgrade_that_died_half_way_is_run_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, steps_done: int
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(steps, "create_table", _dies_after(steps_done, steps.create_table))
        dying.setattr(steps, "create_index", _dies_after(steps_done, steps.create_index))
        with pytest.raises(KeyboardInterrupt):
            migrate.upgrade(database)
    assert migrate.current_revision(database) is None
    if database.dialect != "mysql":
        assert tables(database) - {migrate.VERSION_TABLE} == set()

    migrate.upgrade(database)

    assert tables(database) == {*metadata.tables, migrate.VERSION_TABLE}
    assert _indexes(database) == {
        (table.name, index.name) for table in metadata.sorted_tables for index in table.indexes
    }


def _dies_after(count: int, step: Callable[..., None]) -> Callable[..., None]:
    done = []

    def dying(*arguments: Any, **options: Any) -> None:
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(1)
        step(*arguments, **options)

    return dying


def _indexes(database: Database) -> set[tuple[str, str | None]]:
    inspector = sa.inspect(database.engine)
    uniques = {
        (table.name, str(constraint.name))
        for table in metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    }
    found = {(table, index["name"]) for table in metadata.tables for index in inspector.get_indexes(table)}
    # MySQL keeps a foreign key's own index, under the key's name, where no other one serves.
    return {(table, name) for table, name in found if (table, name) not in uniques and not str(name).startswith("fk_")}


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
def test_empty_server_database_is_not_touched_unless_told_to(empty_url: str, database: Database) -> None:
    with pytest.raises(SchemaOutdated, match="holds no tables of Headgate's yet") as raised:
        open_store(empty_url, artifact_root="/nowhere")

    assert raised.value.remedy.startswith("Run: headgate db upgrade")
    assert (raised.value.current, raised.value.head, raised.value.exit_code) == (None, migrate.HEAD, 2)
    assert tables(database) == set()
    open_store(empty_url, artifact_root="/nowhere", settings=Settings(auto_migrate=True)).close()
    open_store(empty_url, artifact_root="/nowhere").close()


def test_newer_database_is_refused_and_left_alone(empty_url: str, database: Database) -> None:
    migrate.upgrade(database)
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'"))

    with pytest.raises(SchemaTooNew, match=f"{re.escape(database.display_url)} is at revision 9999") as raised:
        open_store(empty_url, artifact_root="/nowhere", settings=Settings(auto_migrate=True))
    with pytest.raises(SchemaTooNew):
        migrate.upgrade(database)

    assert (raised.value.current, raised.value.head) == ("9999", migrate.HEAD)
    assert migrate.current_revision(database) == "9999"


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretend that this Headgate has one revision more."""
    real = migrate.alembic_config

    def pretend(then: str) -> None:
        folder = tmp_path / "versions"
        folder.mkdir(exist_ok=True)
        (folder / "0002_next.py").write_text(NEXT_REVISION.format(then=then))

        def config() -> Any:
            made = real()
            shipped = Path(migrate.__file__).parent / "migrations" / "versions"
            made.set_main_option("version_locations", f"{shipped}:{folder}")
            return made

        monkeypatch.setattr(migrate, "alembic_config", config)
        monkeypatch.setattr(migrate, "HEAD", "0002")

    return pretend


def test_older_database_says_how_to_upgrade_it(
    empty_url: str, database: Database, next_revision: Callable[[str], None]
) -> None:
    migrate.upgrade(database)
    next_revision("pass")

    with pytest.raises(SchemaOutdated, match="is at revision 0001, not 0002") as raised:
        open_store(empty_url, artifact_root="/nowhere")

    assert raised.value.current == "0001"
    assert migrate.upgrade(database) == ("0001", "0002")
    open_store(empty_url, artifact_root="/nowhere").close()


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_sqlite_file_is_copied_before_it_is_upgraded(
    empty_url: str, database: Database, next_revision: Callable[[str], None]
) -> None:
    with open_store(empty_url) as store:
        run_id = store.runs.open("0").info.run_id  # still in the write-ahead log
        next_revision("pass")
        migrate.upgrade(database)

    copy = Path(f"{database.url.database}.0001.bak")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT run_id FROM headgate_run").fetchall() == [(run_id,)]
        assert connection.execute(f"SELECT version_num FROM {migrate.VERSION_TABLE}").fetchall() == [("0001",)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not list(copy.parent.glob("*.part"))


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_upgrade_without_a_copy(empty_url: str, database: Database, next_revision: Callable[[str], None]) -> None:
    migrate.upgrade(database)
    next_revision("pass")

    migrate.upgrade(database, back_up=False)

    assert not Path(f"{database.url.database}.0001.bak").exists()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_upgrade_that_fails_leaves_the_database_as_it_was(
    database: Database, next_revision: Callable[[str], None]
) -> None:
    migrate.upgrade(database)
    next_revision('raise OSError("no space left on device")')

    with pytest.raises(OSError, match="no space left"):
        migrate.upgrade(database)

    assert migrate.current_revision(database) == "0001"
    columns = {column["name"] for column in sa.inspect(database.engine).get_columns("headgate_experiment")}
    assert "color" not in columns


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
def test_migrating_waits_no_longer_than_it_says(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_LOCK_SECONDS", 0)

    with migrate._exclusive(database), pytest.raises(StoreUnavailable, match="has been migrating") as raised:
        migrate.upgrade(database)

    assert raised.value.retryable


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_store_at_head_is_checked_without_alembic(empty_url: str, database: Database) -> None:
    migrate.upgrade(database)

    assert process_work.modules_loaded_by_opening(empty_url) == []


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_sqlite_file_of_another_program_is_no_new_store(empty_url: str, database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE accounts (id INTEGER)"))

    with pytest.raises(SchemaOutdated, match="holds no tables of Headgate's yet"):
        open_store(empty_url)

    assert tables(database) == {"accounts"}
    migrate.upgrade(database)
    open_store(empty_url).close()


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_new_store_that_another_process_makes_meanwhile_is_opened(
    empty_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = migrate.current_revision

    def look_and_be_late(looked_at: Database) -> str | None:
        found = look(looked_at)
        migrate.upgrade(database)
        return found

    monkeypatch.setattr(migrate, "current_revision", look_and_be_late)

    open_store(empty_url).close()

    assert look(database) == migrate.HEAD


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_looking_for_a_revision_makes_no_file(database: Database) -> None:
    file = Path(str(database.url.database))
    assert not file.exists()
    assert migrate.current_revision(database) is None
    assert not file.exists()


def test_host_tables_are_left_alone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('the host')"))

    migrate.upgrade(database)

    with database.read() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "the host"
    assert all(name.startswith("headgate_") for name in tables(database) - {"alembic_version"})
