"""Schedules: which ones are accepted, and what is said about the others."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.flows.schedule import Schedule, after_target, schedule_from, schedule_mistakes
from headgate.store.errors import InvalidPipeline


@pytest.mark.parametrize(
    "cron",
    [
        "0 3 * * 1",
        "*/15 * * * *",
        "0 0 1,15 * *",
        "0 22 * * mon-FRI",
        "5 4 * jan,Jul 0",
        "0 0 29 2 *",
        "0 0 31 1-2 *",
        "0 0 30 2 5",
        "10-50/20 8-18 * * 7",
        "@daily",
        "@weekly",
    ],
)
def test_cron_expressions_that_both_orchestrators_follow(cron: str) -> None:
    assert list(schedule_mistakes(Schedule(cron=cron))) == []


@pytest.mark.parametrize(
    ("cron", "what"),
    [
        ("0 3 * *", "5 fields"),
        ("0 0 3 * * 1", "5 fields"),
        ("", "5 fields"),
        ("60 3 * * 1", "minute"),
        ("0 24 * * 1", "hour"),
        ("0 3 0 * *", "day of month"),
        ("0 3 * 13 *", "month"),
        ("0 3 * * 8", "day of week"),
        ("0 3 * * monday", "can't be read"),
        ("0 5-3 * * *", "backwards"),
        ("*/0 * * * *", "step"),
        ("5/10 * * * *", "step without a range"),
        ("0 0 30 2 *", "never"),
        ("0 0 31 4,6 *", "never"),
        ("@dayly", "preset"),
        ("@once", "preset"),
    ],
)
def test_cron_expressions_that_mean_nothing(cron: str, what: str) -> None:
    ((problem, remedy),) = schedule_mistakes(Schedule(cron=cron))
    assert what in problem
    assert remedy


@pytest.mark.parametrize(
    ("schedule", "what"),
    [
        (Schedule(), "empty"),
        (Schedule(cron="@daily", timezone="Europe/Atlantis"), "time zone"),
        (Schedule(cron="@daily", timezone="../etc/passwd"), "time zone"),
        (Schedule(after=("tumor-screening",)), "names no promotion"),
        (Schedule(after=("model:tumor-screening",)), "names no promotion"),
    ],
)
def test_other_mistakes(schedule: Schedule, what: str) -> None:
    ((problem, remedy),) = schedule_mistakes(schedule)
    assert what in problem
    assert remedy


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("0 3 * * 1", Schedule(cron="0 3 * * 1")),
        ({"cron": "@daily", "timezone": "Europe/Berlin"}, Schedule(cron="@daily", timezone="Europe/Berlin")),
        ({"assets": ["patients", "s3://lake/scans"]}, Schedule(assets=("patients", "s3://lake/scans"))),
        ({"assets": "patients", "cron": "@daily"}, Schedule(cron="@daily", assets=("patients",))),
        ({"after": "model:churn@champion"}, Schedule(after=("model:churn@champion",))),
        (None, None),
    ],
)
def test_short_forms(written: Any, schedule: Schedule | None) -> None:
    assert schedule_from(written) == schedule
    assert schedule is None or list(schedule_mistakes(schedule)) == []


@pytest.mark.parametrize("written", [{"corn": "@daily"}, {"cron": 3}, {"assets": [1]}, {"after": {"model": "x"}}])
def test_other_shapes_are_refused(written: Any) -> None:
    with pytest.raises(InvalidPipeline):
        schedule_from(written)


def test_a_schedule_reads_as_a_sentence() -> None:
    schedule = Schedule(
        cron="0 3 * * 1", timezone="Europe/Berlin", assets=("patients",), after=("model:churn@champion",)
    )
    assert str(schedule) == "cron 0 3 * * 1 (Europe/Berlin) or assets patients or after model:churn@champion"


def test_after_names_a_model_and_a_target() -> None:
    assert after_target("model:tumor-screening@champion") == ("tumor-screening", "@champion")
    assert after_target("model:churn/Production") == ("churn", "stage:Production")
    with pytest.raises(InvalidPipeline, match="names no promotion"):
        after_target("churn")
