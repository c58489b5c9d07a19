"""Validating a table where it is, suites from Python, and Great Expectations' own page."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store import open_store
from headgate.store.errors import DataUnavailable, InvalidInput
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import SqlTable, validate_data

SUITE = {
    "name": "scans",
    "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": 120}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "site"}, "severity": "warning"},
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings(home=tmp_path / "home")) as opened:
        yield opened


def filled(url: str, rows: list[tuple[int, str | None]]) -> SqlTable:
    engine = sa.create_engine(url)
    table = sa.Table("scans", sa.MetaData(), sa.Column("age", sa.Integer), sa.Column("site", sa.String(20)))
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        if rows:
            connection.execute(table.insert(), [{"age": age, "site": site} for age, site in rows])
    engine.dispose()
    return SqlTable(url, "scans")


def test_a_table_is_judged_in_its_database_and_named_by_its_rows(store: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    good = validate_data(filled(url, [(40, "a"), (71, None)]), SUITE, store=store)
    assert (good.outcome, good.rows, good.dataset.name) == ("pass", 2, "scans")
    assert good.failures == ()
    assert '"num_rows": 2' in str(good.dataset.profile)
    again = validate_data(filled(url, [(71, None), (40, "a")]), SUITE, store=store, fail_at="warning")
    assert again.outcome == "reject"
    assert again.dataset.digest == good.dataset.digest
    worse = validate_data(filled(url, [(400, "a")]), SUITE, store=store)
    assert (worse.outcome, worse.dataset.digest == good.dataset.digest) == ("reject", False)
    assert validate_data(SqlTable(url, "scans", digest="version-3"), SUITE, store=store).dataset.digest == "version-3"


def test_a_table_that_can_not_be_judged_never_passes(store: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    table = filled(url, [(40, "a")])
    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "no", "min_value": 0}}
    missing = {"name": "scans", "expectations": [between]}
    assert validate_data(table, missing, store=store).outcome == "error"
    with pytest.raises(InvalidInput, match="no table 'none'"):
        validate_data(SqlTable(url, "none"), SUITE, store=store)
    with pytest.raises(InvalidInput, match="no rows"):
        validate_data(filled(url, []), SUITE, store=store)
    with pytest.raises(InvalidInput, match="can't be used as the URL"):
        validate_data(SqlTable("no url", "scans"), SUITE, store=store)


def test_a_database_that_does_not_answer_costs_a_retry_and_tells_no_password(store: Store) -> None:
    with pytest.raises(DataUnavailable) as raised:
        validate_data(SqlTable("postgresql+psycopg://me:canary@127.0.0.1:1/none", "scans"), SUITE, store=store)
    assert "canary" not in str(raised.value)
    assert "canary" not in repr(SqlTable("postgresql://me:canary@host/none", "scans"))


def test_a_table_that_may_not_be_read_is_no_fault_of_the_network(store: Store, postgresql_database: str) -> None:
    table = filled(postgresql_database, [(40, "a")])
    role = f"headgate_test_{uuid.uuid4().hex[:16]}"
    engine = sa.create_engine(postgresql_database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE ROLE {role}"))
        try:
            url = f"{postgresql_database}?options=-crole%3D{role}"
            with pytest.raises(InvalidInput, match="permission denied for table scans") as raised:
                validate_data(SqlTable(url, table.table), SUITE, store=store)
        finally:
            connection.execute(sa.text(f"DROP ROLE {role}"))
            connection.execute(sa.text("DROP TABLE scans"))
    engine.dispose()
    assert "'scans'" in str(raised.value)
    assert "read the table" in str(raised.value.remedy)


def test_a_database_that_may_not_be_read_is_no_fault_of_the_network_on_mariadb_either(
    store: Store, mariadb_database: str
) -> None:
    user = f"headgate_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(mariadb_database, isolation_level="AUTOCOMMIT")
    url = engine.url.set(username=user, password="canary").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE USER {user}@'%' IDENTIFIED BY 'canary'"))
        connection.execute(sa.text(f"CREATE USER {user}@'localhost' IDENTIFIED BY 'canary'"))
        try:
            with pytest.raises(InvalidInput, match="refused to show 'scans'") as raised:
                validate_data(SqlTable(url, "scans"), SUITE, store=store)
        finally:
            for host in ("%", "localhost"):
                connection.execute(sa.text(f"DROP USER {user}@'{host}'"))
    engine.dispose()
    assert "canary" not in str(raised.value)


def test_a_suite_may_be_python_and_great_expectations_page_is_kept_on_request(store: Store, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

    def suite() -> Any:
        between = gx.expectations.ExpectColumnValuesToBeBetween(
            column="age", min_value=0, max_value=50, severity="info"
        )
        return gx.ExpectationSuite(name="python", expectations=[between])

    (tmp_path / "scans.csv").write_text("age,site\n40,a\n71,b\n")
    found = validate_data(tmp_path / "scans.csv", suite(), store=store, data_docs=True)
    assert (found.outcome, found.suite, found.results[0].severity) == ("pass", "python", "info")
    artifacts = store.artifacts(found.artifact_uri)
    with artifacts.open("validation/data_docs.html") as file:
        page = file.read().decode()
    assert "age" in page
    assert "dataContextId" not in page
    plain = validate_data(tmp_path / "scans.csv", suite(), store=store)
    assert store.artifacts(plain.artifact_uri).stat("validation/data_docs.html") is None
