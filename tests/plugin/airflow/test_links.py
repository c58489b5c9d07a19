"""Links of task instances: to what the task's XCom names, with every part of the address encoded."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.airflow.links import RunLink, VerdictLink

RUN = {"run_id": "0" * 32, "verdict_id": "v-" + "1" * 32}


@dataclass
class Instance:
    """What a link knows of a task instance when the task ends."""

    said: Any
    dag_id: str = "retrain"
    run_id: str = "manual__2026-11-21T08:34:23.380743+00:00"
    task_id: str = "group.train"
    map_index: int | None = -1
    run: Any = None

    def xcom_pull(self, *, task_ids: str, map_indexes: int, key: str) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, -1 if self.map_index is None else self.map_index)
        return {"return_value": self.said, "headgate_run": self.run}[key]


def link_of(link: RunLink | VerdictLink, instance: Instance) -> str:
    return link.get_link(None, ti_key=instance)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example")


def test_links_lead_to_the_run_and_to_the_verdict() -> None:
    assert link_of(RunLink(), Instance(RUN)) == f"/plugin/headgate/headgate/runs/{'0' * 32}"
    assert link_of(VerdictLink(), Instance(RUN)) == f"/plugin/headgate/headgate/verdicts/v-{'1' * 32}"


def test_a_task_that_hands_on_what_a_function_returned_has_its_run_beside_it() -> None:
    assert link_of(RunLink(), Instance({"f1": 0.9}, run=RUN)) == f"/plugin/headgate/headgate/runs/{'0' * 32}"
    assert link_of(RunLink(), Instance(None, run=RUN)) == f"/plugin/headgate/headgate/runs/{'0' * 32}"


@pytest.mark.parametrize("said", [None, "text", {}, {"run_id": None}, ["run_id"]])
def test_without_a_reference_a_link_leads_to_the_tab_of_the_task_instance(said: Any) -> None:
    expected = (
        "/dags/retrain/runs/manual__2026-11-21T08%3A34%3A23.380743%2B00%3A00/tasks/group.train"
        "{}/plugin/headgate-task-instance"
    )
    assert link_of(RunLink(), Instance(said)) == expected.format("")
    assert link_of(RunLink(), Instance(said, map_index=None)) == expected.format("")
    assert link_of(VerdictLink(), Instance(said, map_index=3)) == expected.format("/mapped/3")


def test_what_the_pages_do_not_show_has_the_tab_of_the_task_instance() -> None:
    other = SimpleNamespace(headgate_conn_id="other")
    link = RunLink().get_link(other, ti_key=Instance(RUN))  # type: ignore[arg-type]
    assert link.endswith("/tasks/group.train/plugin/headgate-task-instance")


def test_links_hold_below_a_prefix_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://company.example/airflow/")
    assert link_of(RunLink(), Instance(RUN)) == f"/airflow/plugin/headgate/airflow/headgate/runs/{'0' * 32}"
    assert link_of(RunLink(), Instance(None)).startswith("/airflow/dags/retrain/runs/")


def test_every_link_of_an_operator_is_told_to_airflow() -> None:
    from headgate.airflow import (
        ApprovePromotionOperator,
        EvaluateModelOperator,
        GateOperator,
        PromoteModelOperator,
        RunProjectOperator,
    )
    from headgate.airflow.decorators import HeadgateDecoratedOperator
    from headgate.airflow.provider import get_provider_info

    declared = set(get_provider_info()["extra-links"])
    deciding = (ApprovePromotionOperator, GateOperator, PromoteModelOperator)
    for operator in (*deciding, EvaluateModelOperator, HeadgateDecoratedOperator, RunProjectOperator):
        (link,) = operator.operator_extra_links
        assert f"{type(link).__module__}.{type(link).__name__}" in declared
