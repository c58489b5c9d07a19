"""Headgate's tabs and the approval, in Airflow's user interface, as a person clicks through them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.plugin.airflow.browser import browser as browser
from tests.plugin.airflow.browser import page as page
from tests.plugin.airflow.browser import tab

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

    from tests.plugin.airflow.standalone import Standalone

PROJECT = Path(__file__).parents[2] / "environments" / "project"
DAG = "in_the_browser"
MODEL = "approved_in_the_browser"
SOURCE = f'''
from airflow.sdk import DAG, task

from headgate.airflow import ApprovePromotionOperator, GateOperator, PromoteModelOperator, RunProjectOperator

GATE = {{"name": "screening", "checks": {{"all_of": [{{"metric": "recall", "at_least": 0.9}}]}}}}

with DAG("{DAG}", schedule=None):
    RunProjectOperator(task_id="score", project={str(PROJECT)!r}, parameters={{"rate": 0.25}})
    RunProjectOperator.partial(task_id="sweep", project={str(PROJECT)!r}).expand(
        parameters=[{{"rate": 1}}, {{"rate": 2}}]
    )

    @task
    def train():
        from headgate.airflow.connection import open_store_of
        from headgate.airflow.identity import run_context
        from headgate.store.clock import now_ms
        from headgate.store.entities import LoggedModelStatus, Metric

        from airflow.sdk import get_current_context

        with open_store_of() as store:
            run = store.runs.open("0", context=run_context(get_current_context())).info.run_id
            model = store.logged_models.create("0", source_run_id=run, now=now_ms()).model_id
            store.logged_models.finalize(model, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=now_ms())
            recall = Metric("recall", 0.97, now_ms(), run_id=run, dataset_name="holdout", dataset_digest="feed1234")
            store.logged_models.log_metrics(model, [recall])
        return model

    @task
    def nothing_of_ours():
        return None

    nothing_of_ours()
    gate = GateOperator(task_id="gate", gate=GATE, model_name="{MODEL}", candidate=train(), target="@champion")
    approve = ApprovePromotionOperator(task_id="approve", verdict=gate.output)
    PromoteModelOperator(task_id="promote", verdict=approve.output, require_approval=True)
'''


@dataclass(frozen=True)
class DagRun:
    """A DAG run that waits for its approval, and where Airflow shows it."""

    airflow: Standalone
    run_id: str

    @property
    def url(self) -> str:
        return f"{self.airflow.url}/dags/{DAG}/runs/{quote(self.run_id, safe='')}"


@pytest.fixture(scope="module")
def dag_run(standalone: Standalone) -> Iterator[DagRun]:
    standalone.add_dag(DAG, SOURCE)
    run_id = standalone.trigger(DAG)
    for task in ("score", "nothing_of_ours"):
        standalone.wait_for_task(DAG, run_id, task, ("success",))
    for index in (0, 1):
        standalone.wait_for_task(DAG, run_id, "sweep", ("success",), map_index=index)
    standalone.wait_for_task(DAG, run_id, "approve", ("awaiting_input", "deferred"))
    return DagRun(standalone, run_id)


def heading(window: Page) -> str:
    return " ".join(tab(window).locator("h1").inner_text().split())


def open_tab(window: Page, url: str) -> FrameLocator:
    """Open a page of Airflow and click its Headgate tab."""
    window.goto(url)
    window.locator('a[href*="/plugin/headgate-"]', has_text="Headgate").first.click()
    tab(window).locator("h1").wait_for()
    return tab(window)


def test_the_navigation_leads_to_what_is_in_production(page: Page, dag_run: DagRun) -> None:
    page.goto(dag_run.airflow.url)
    page.locator('nav a[href*="/plugin/headgate"], a[href$="/plugin/headgate"]').first.click()
    assert heading(page) in ("In production, and why", "No registered models yet")
    tab(page).get_by_role("link", name="Promotions").first.click()
    tab(page).locator("h1", has_text="Promotions and rollbacks").wait_for()
    page.wait_for_url("**/plugin/headgate/headgate/promotions")


def test_the_tab_of_a_dag_lists_its_runs(page: Page, dag_run: DagRun) -> None:
    frame = open_tab(page, f"{dag_run.airflow.url}/dags/{DAG}")
    assert heading(page) == DAG
    frame.get_by_role("link", name=dag_run.run_id).click()
    frame.locator("h2", has_text="Runs by task").wait_for()


def test_the_tab_of_a_dag_run_opens_at_that_run(page: Page, dag_run: DagRun) -> None:
    frame = open_tab(page, dag_run.url)
    assert heading(page).startswith(dag_run.run_id)
    rows = frame.locator("tbody tr", has=frame.get_by_role("rowheader", name=re.compile("^sweep")))
    assert rows.count() == 2
    assert frame.get_by_text("recall >= 0.9 (measured 0.97)").count() >= 1


def test_the_tab_of_a_task_lists_its_runs(page: Page, dag_run: DagRun) -> None:
    frame = open_tab(page, f"{dag_run.airflow.url}/dags/{DAG}/tasks/score")
    assert heading(page) == "score"
    assert frame.get_by_role("link", name=dag_run.run_id).count() == 1


def test_the_tab_of_a_task_instance_opens_at_its_run(page: Page, dag_run: DagRun) -> None:
    frame = open_tab(page, f"{dag_run.url}/tasks/score")
    assert heading(page) == "score finished"
    assert frame.get_by_role("rowheader", name="score", exact=True).count() == 1
    assert frame.get_by_role("rowheader", name="rate", exact=True).count() == 1


def test_the_tab_of_a_mapped_task_instance_opens_at_its_own_run(page: Page, dag_run: DagRun) -> None:
    open_tab(page, f"{dag_run.url}/tasks/sweep/mapped/1")
    assert heading(page) == "sweep [1] finished"


def test_the_tab_of_a_gate_shows_the_verdict_with_its_reasons(page: Page, dag_run: DagRun) -> None:
    frame = open_tab(page, f"{dag_run.url}/tasks/gate")
    assert heading(page) == "Gate screening @champion"
    assert frame.get_by_text("1 of 1 blocking checks passed").count() == 1
    frame.get_by_role("link", name=re.compile("^m-")).first.click()
    frame.get_by_role("link", name="Lineage of this model").click()
    frame.locator(".lineage svg g.node").first.wait_for()
    assert frame.locator("path.edge").count() >= 1


def test_the_tab_of_a_task_that_recorded_nothing_is_friendly(page: Page, dag_run: DagRun) -> None:
    open_tab(page, f"{dag_run.url}/tasks/nothing_of_ours")
    assert heading(page) == "No Headgate runs here yet"


def test_a_link_of_the_task_instance_leads_to_its_run(page: Page, dag_run: DagRun) -> None:
    page.goto(f"{dag_run.url}/tasks/score/details")
    page.get_by_role("link", name="Headgate run").click()
    tab(page).locator("h1", has_text="score").wait_for()
    assert "/plugin/headgate/headgate/runs/" in page.url


def test_the_pages_follow_the_theme_of_airflow(page: Page, dag_run: DagRun) -> None:
    shown = {}
    for theme in ("light", "dark"):
        page.goto(dag_run.airflow.url)
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        frame = open_tab(page, f"{dag_run.airflow.url}/dags/{DAG}")
        page.locator(f"html.{theme}").wait_for()
        frame.locator(f'html[data-theme="{theme}"]').wait_for()
        shown[theme] = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert shown == {"light": "rgb(247, 248, 249)", "dark": "rgb(20, 24, 27)"}


def test_an_approval_in_the_browser_promotes(page: Page, dag_run: DagRun) -> None:
    page.goto(f"{dag_run.url}/tasks/approve/required_actions")
    page.get_by_text("recall").first.wait_for()
    page.get_by_role("button", name="Approve").click()
    assert dag_run.airflow.wait_for_run(DAG, dag_run.run_id) == "success"

    open_tab(page, f"{dag_run.url}/tasks/promote")
    assert heading(page) == "Gate screening @champion"
    assert tab(page).get_by_text("airflow-hitl").count() == 1
    page.goto(f"{dag_run.airflow.url}/plugin/headgate")
    card = tab(page).locator(".card", has=tab(page).get_by_role("link", name=MODEL, exact=True))
    card.locator(".holder", has_text="@champion").get_by_text("version 1").wait_for()
    (promotion,) = dag_run.airflow.store.promotions.history(MODEL)
    assert promotion.approved_by == "admin"
