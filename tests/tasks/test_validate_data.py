"""Validating data by Great Expectations: what passes, what is rejected, and what must never pass by mistake."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headgate.store import open_store
from headgate.store.entities import Outcome, RunContext, RunStatus
from headgate.store.errors import (
    DataRejected,
    InvalidInput,
    InvalidSuite,
    NotFound,
    RunKilled,
    RunNotActive,
)
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import StopRequest, validate_data, validation_error
from headgate.tasks.expectations.results import DataValidation, validation_from_json
from headgate.tasks.expectations.suite import load_suite
from headgate.tasks.tracking import dataset

NOW = 1_800_000_000_000
SUITE = """\
name: scans
expectations:
  - type: expect_table_row_count_to_be_between
    kwargs: {min_value: 2}
  - type: expect_column_values_to_be_between
    kwargs: {column: age, min_value: 0, max_value: 120}
  - type: expect_column_values_to_not_be_null
    kwargs: {column: site}
    severity: warning
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    file = tmp_path / "scans.yaml"
    file.write_text(SUITE)
    return file


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    file = tmp_path / "scans.csv"
    file.write_text("age,site\n40,a\n71,b\n33,\n")
    return file


def of(*expectations: dict[str, Any]) -> dict[str, Any]:
    return {"name": "scans", "expectations": list(expectations)}


def expect(kind: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}


def artifact(store: Store, validation: DataValidation, path: str) -> bytes:
    with store.artifacts(validation.artifact_uri).open(path) as stream:
        return stream.read()


def test_data_that_meet_their_suite_pass(store: Store, suite: Path, scans: Path) -> None:
    found = validate_data(scans, suite, store=store, run_name="check", clock=lambda: NOW)
    assert (found.outcome, found.suite, found.rows, found.fail_at) == (Outcome.PASS, "scans", 3, "critical")
    assert [(r.outcome, r.severity) for r in found.results] == [
        (Outcome.PASS, "critical"),
        (Outcome.PASS, "critical"),
        (Outcome.REJECT, "warning"),
    ], "in the suite's order; a warning is reported and decides nothing"
    assert (found.failures, validation_error(found)) == ((), None)
    assert found.dataset.digest == dataset("scans", scans).digest

    run = store.runs.get(found.run_id)
    assert (run.info.status, run.info.name, run.tags["headgate.validation"]) == (RunStatus.FINISHED, "check", "pass")
    assert {key: metric.value for key, metric in run.metrics.items()} == {
        "expectations": 3,
        "expectations_met": 2,
        "expectations_failed": 0,
    }
    (used,) = run.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("scans", found.dataset.digest)


def test_data_that_do_not_are_rejected_with_reasons(store: Store, suite: Path, scans: Path) -> None:
    scans.write_text("age,site\n40,a\n171,b\n-3,c\n,d\n")
    found = validate_data(scans, suite, store=store)
    assert found.outcome is Outcome.REJECT
    (failure,) = found.failures
    assert (failure.element_count, failure.unexpected_count, failure.examples) == (4, 2, (171.0, -3.0))
    error = validation_error(found)
    assert isinstance(error, DataRejected)
    assert (error.run_id, error.suite, error.retryable) == (found.run_id, "scans", False)
    assert "expect_column_values_to_be_between(column='age'" in str(error)
    assert "2 of 4 values (66.67 %) are not as expected." in str(error)
    assert "171" not in error.message, "values of the data stay in the report"
    assert store.runs.get_info(found.run_id).status is RunStatus.FINISHED


def test_a_warning_rejects_where_that_was_asked_for(store: Store, suite: Path, scans: Path) -> None:
    found = validate_data(scans, suite, store=store, fail_at="warning")
    assert (found.outcome, [r.severity for r in found.failures]) == (Outcome.REJECT, ["warning"])
    with pytest.raises(InvalidInput, match="fail_at is 'mild'"):
        validate_data(scans, suite, store=store, fail_at="mild")


def test_the_reports_stand_among_the_artifacts(store: Store, suite: Path, scans: Path) -> None:
    scans.write_text("age,site\n<b>171</b>,a\n40,b\n")
    between = "_be_between\n    kwargs: {column: age, min_value: 0, max_value: 120}"
    suite.write_text(SUITE.replace(between, "_match_regex\n    kwargs: {column: age, regex: '^[0-9]+$'}"))
    found = validate_data(scans, suite, store=store)
    assert validation_from_json(artifact(store, found, found.json_path)) == found
    page = artifact(store, found, found.html_path).decode()
    assert found.run_id in page
    assert "1 of 2 values (50 %) are not as expected." in page
    assert "&lt;b&gt;171" in page
    assert "<b>171" not in page
    assert not any(foreign in page for foreign in ("http:", "https:", "<script", "src=", "@import", "url("))


def test_what_can_not_be_judged_never_passes(store: Store, scans: Path) -> None:
    missing = expect("column_values_to_not_be_null", severity="info", column="weight")
    fine = expect("table_row_count_to_be_between", min_value=1)
    found = validate_data(scans, of(missing, fine), store=store)
    assert found.outcome is Outcome.ERROR
    assert [r.outcome for r in found.results] == [Outcome.ERROR, Outcome.PASS]
    error = validation_error(found)
    assert isinstance(error, InvalidSuite)
    assert 'The column "weight" in BatchData does not exist' in str(error)
    assert b"could not be judged" in artifact(store, found, found.html_path)
    assert store.runs.get(found.run_id).tags["headgate.validation"] == "error"

    of_text = expect("column_mean_to_be_between", column="site", min_value=1)
    assert validate_data(scans, of(of_text), store=store).outcome is Outcome.ERROR


NULL, COUNT = "column_values_to_not_be_null", "table_row_count_to_be_between"


@pytest.mark.parametrize(
    ("suite", "says"),
    [
        (of(), "has no expectations: it would pass whatever the data are"),
        (of(expect(f"{NULL}s", column="age")), f"knows no 'expect_{NULL}s'. Did you mean expect_{NULL}?"),
        (of(expect(NULL, colum="age")), "can't have these kwargs.*extra fields not permitted"),
        (of(expect(NULL, severity="bad", column="age")), "The severity .* is 'bad'"),
        (of(expect(COUNT, min_value={"$PARAMETER": "least"})), "No value found for .* least"),
        (of({"expectation_type": "expect_x"}), "before 1.0: expectation_type is type"),
        ({**of(expect("x")), "expectation_suite_name": "old"}, "before 1.0: expectation_suite_name is name"),
        ({"expectations": [expect("x")]}, "The suite has no name"),
        (of({"kwargs": {}}), "expectations.0: The expectation has no type"),
        (of({"type": "expect_x", "kwargs": 3}), "kwargs of expect_x are no mapping"),
        ({"name": "s", "expectations": ["expect_x"]}, "An expectation is a mapping"),
        ({"name": "s", "expectations": [expect("x")], "expectation": []}, "Known are expectations, id"),
    ],
)
def test_a_suite_that_says_nothing_sound_is_an_error(
    store: Store, scans: Path, suite: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidSuite, match=says):
        validate_data(scans, suite, store=store)
    assert all(run.info.status is RunStatus.FAILED for run in store.runs.search(["0"]).items)


def test_a_mistake_is_shown_in_its_file(tmp_path: Path) -> None:
    yaml, text = tmp_path / "suite.yaml", tmp_path / "suite.json"
    yaml.write_text(SUITE.replace("severity: warning", "severity: bad"))
    with pytest.raises(InvalidSuite, match=rf"{yaml}:9: The severity") as raised:
        load_suite(yaml)
    assert (raised.value.file, raised.value.line) == (str(yaml), 9)
    yaml.write_text("name: [")
    with pytest.raises(InvalidSuite, match="This is not YAML"):
        load_suite(yaml)
    text.write_text('{"name": "s",\n}')
    with pytest.raises(InvalidSuite, match=rf"{text}:2: This is not JSON"):
        load_suite(text)
    for absent in (tmp_path / "none.json", tmp_path / "none.yaml"):
        with pytest.raises(InvalidSuite, match="can't be read: No such file"):
            load_suite(absent)


def test_the_same_suite_has_one_digest_from_json_yaml_and_python(tmp_path: Path) -> None:
    yaml, text = tmp_path / "scans.yaml", tmp_path / "scans.json"
    said = of(expect("column_max_to_be_between", column="at", max_value="2026-01-31T00:00:00"))
    yaml.write_text(
        "expectations:\n- type: expect_column_max_to_be_between\n  kwargs: {column: at, max_value: 2026-01-31}\n"
    )
    text.write_text(json.dumps({**said, "id": None, "notes": None, "meta": {"great_expectations_version": "1.24.1"}}))
    assert load_suite(yaml).digest == load_suite(text).digest == load_suite(said).digest
    changed = of(expect("column_max_to_be_between", column="at", max_value="2026-02-01T00:00:00"))
    assert load_suite(changed).digest != load_suite(said).digest


def test_a_suite_has_parameters_and_dates(store: Store) -> None:
    table = pd.DataFrame({"at": pd.to_datetime(["2026-01-02", "2026-01-30"]), "f": [0.5, np.nan]})
    suite = of(
        expect("table_row_count_to_be_between", min_value={"$PARAMETER": "least"}),
        expect("column_max_to_be_between", column="at", max_value="2026-01-31T00:00:00"),
    )
    given = {"store": store, "name": "visits"}
    assert validate_data(table, suite, parameters={"least": 2}, **given).outcome is Outcome.PASS
    found = validate_data(table, suite, parameters={"least": 3}, **given)
    assert (found.failures[0].message, found.dataset.digest) == ("It is 2.", dataset("visits", table).digest)


def test_data_come_from_files_of_two_kinds_and_from_runs(store: Store, tmp_path: Path) -> None:
    suite = of(expect("column_values_to_not_be_null", column="age"))
    parquet, packed = tmp_path / "scans.parquet", tmp_path / "scans.csv.gz"
    table = pd.DataFrame({"age": [40, 71]})
    table.to_parquet(parquet)
    table.to_csv(packed, index=False)
    for file in (parquet, packed):
        found = validate_data(str(file), suite, store=store)
        assert (found.outcome, found.rows, found.dataset.name) == (Outcome.PASS, 2, "scans")
    run = store.runs.open("0")
    store.artifacts(run.info.artifact_uri).put_file(parquet, "data/holdout.parquet")
    found = validate_data(f"runs:/{run.info.run_id}/data/holdout.parquet", suite, store=store)
    assert (found.dataset.name, found.dataset.digest) == ("holdout", dataset("h", parquet).digest)
    assert f"runs:/{run.info.run_id}" in found.dataset.source
    with pytest.raises(NotFound):
        validate_data("runs:/none/x.parquet", suite, store=store)


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        ("age,site\n", "scans.csv", "have no rows"),
        ("", "scans.csv", "can't be read as a table"),
        ("PAR1", "scans.parquet", "can't be read as a table"),
        ("age\n1\n", "scans.txt", "neither a CSV nor a Parquet file"),
        (None, "scans.csv", "There is no file"),
    ],
)
def test_data_that_are_none_are_refused(
    store: Store, suite: Path, tmp_path: Path, content: str | None, name: str, says: str
) -> None:
    file = tmp_path / "in" / name
    file.parent.mkdir()
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInput, match=says):
        validate_data(file, suite, store=store)
    (run,) = store.runs.search(["0"]).items
    assert run.info.status is RunStatus.FAILED


def test_tables_that_leave_open_what_is_judged_are_refused(store: Store, suite: Path) -> None:
    with pytest.raises(InvalidInput, match="several columns of one name: age"):
        validate_data(pd.DataFrame([[1, 2]], columns=["age", "age"]), suite, store=store, name="scans")
    with pytest.raises(InvalidInput, match="has no name"):
        validate_data(pd.DataFrame({"age": [1]}), suite, store=store)
    with pytest.raises(InvalidInput, match="A dict can't be validated"):
        validate_data({"age": [1]}, suite, store=store)


def test_an_attempt_is_validated_once_and_a_new_one_anew(store: Store, suite: Path, scans: Path) -> None:
    context = RunContext("airflow", "retrain", "run-1", "check", attempt=1)
    first = validate_data(scans, suite, store=store, context=context)
    scans.write_text("age,site\n400,a\n500,b\n")
    assert validate_data(scans, suite, store=store, context=context) == first
    retried = RunContext("airflow", "retrain", "run-1", "check", attempt=2)
    second = validate_data(scans, suite, store=store, context=retried)
    assert (first.outcome, second.outcome) == (Outcome.PASS, Outcome.REJECT)
    scans.unlink()
    failed = RunContext("airflow", "retrain", "run-2", "check", attempt=1)
    with pytest.raises(InvalidInput, match="no file"):
        validate_data(scans, suite, store=store, context=failed)
    with pytest.raises(RunNotActive, match="has ended"):
        validate_data(scans, suite, store=store, context=failed)


def test_a_validation_that_was_told_to_stop_does_not_end_green(store: Store, suite: Path, scans: Path) -> None:
    stop = StopRequest()
    stop.request("the task was cancelled")
    with pytest.raises(RunKilled, match="the task was cancelled"):
        validate_data(scans, suite, store=store, stop=stop)
    (run,) = store.runs.search(["0"]).items
    assert run.info.status is RunStatus.KILLED


def test_validations_at_once_do_not_mix(store: Store, scans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    started = threading.Barrier(4)

    def validate(most: int) -> Outcome:
        started.wait(60)
        table = pd.DataFrame({"n": np.arange(50)})
        suite = of(expect("column_values_to_be_between", column="n", max_value=most))
        return validate_data(table, suite, store=store, name="n", handle_signals=False).outcome

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(validate, [10, 60, 20, 70]))
    assert found == ["reject", "pass", "reject", "pass"]
    assert capfd.readouterr().err == "", "no progress bars"
