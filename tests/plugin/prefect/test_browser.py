"""The approval and the artifacts on Prefect's pages, as a person clicks through them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headgate.prefect.artifacts.lineage import MOST_EDGES
from headgate.prefect.artifacts.links import lineage_key, promotions_key, verdict_key
from headgate.prefect.artifacts.publish import artifact_key
from tests.chromium import browser as browser
from tests.chromium import window
from tests.plugin.prefect.answers import wait_for_question
from tests.plugin.prefect.projects import new_name

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from headgate.store.store import Store
    from tests.plugin.prefect.server import PrefectServer

DIAGRAM = 'svg[aria-roledescription^="flowchart"]'
SHOTS = os.environ.get("HEADGATE_TEST_SCREENSHOTS")

# In a process of its own: Playwright's loop runs in the test's thread, where Prefect would find it.
SCRIPT = """
import sys

from prefect import flow

from headgate.prefect.artifacts.lineage import lineage_markdown, publish_lineage
from headgate.prefect.artifacts.publish import artifact_key, publish_markdown
from headgate.prefect.channel import tell_promotion
from headgate.prefect.store_access import open_store_of
from headgate.prefect.tasks.approve_promotion import approve_promotion
from headgate.store.lineage import Edge, EdgeKind, Lineage, Node, NodeKind
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import decide_promotion, promote
from tests.plugin.prefect.projects import GATE, measured

NAME = sys.argv[1]


@flow(name=NAME)
def retraining():
    with open_store_of() as store:
        verdict = decide_promotion(store, gate_from_definition(GATE), NAME, "@champion", measured(store, 0.97))
        approval = approve_promotion(verdict, poll_seconds=0.5, message="Look at the **holdout** figures.")
        promotion = promote(store, verdict.verdict_id, actor="flow", reason="weekly", require_approval=True)
        tell_promotion(store, promotion.promotion_id)
        publish_lineage(store, f"models:/{NAME}@champion")
        nodes = [Node(NodeKind.RUN, f"r{n}", f"run (lr=0.1) \\"{n}\\" [x]") for n in range(40)]
        edges = [Edge(a.key, b.key, EdgeKind.INPUT) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
        large = Lineage(tuple(nodes), tuple(edges), (nodes[0].key,))
        publish_markdown(artifact_key("large", NAME), lineage_markdown(large), "large")
    return approval


retraining()
"""


@pytest.fixture
def page(browser: Browser, prefect_server: PrefectServer, request: pytest.FixtureRequest) -> Iterator[Page]:
    with window(browser, request) as page:
        yield page


def shot(page: Page, name: str) -> None:
    """Keep a picture for whoever asked for pictures."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_somebody_approves_and_looks_at_what_was_promoted(
    page: Page, store: Store, store_url: str, prefect_server: PrefectServer, tmp_path: Path
) -> None:
    name = new_name()
    script = tmp_path / "retraining.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[3]
    environment = {**prefect_server.environment, "HEADGATE_STORE_URL": store_url, "PYTHONPATH": str(root)}
    command = [sys.executable, str(script), name]
    with (tmp_path / "flow.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    try:
        flow_run_id = wait_for_question(prefect_server, name)
        approve_in(page, f"{prefect_server.url}/v2/runs/flow-run/{flow_run_id}", name)
        assert process.wait(timeout=240) == 0, (tmp_path / "flow.log").read_text()
    finally:
        process.kill()
        process.wait()

    (promotion,) = store.promotions.history(name)
    approval = store.approvals.get(str(promotion.approval_id))
    assert (approval.actor, approval.reason, approval.authenticated) == ("Ann Lee", "as agreed", False)

    open_artifact(page, prefect_server, lineage_key(f"models:/{name}@champion"))
    diagram = page.locator(DIAGRAM)
    diagram.locator("g.node").first.wait_for()
    shot(page, "lineage")
    assert diagram.locator("g.node").count() == len(store.lineage.of(f"models:/{name}@champion").nodes)
    pages = diagram.locator("a").evaluate_all(
        "links => links.map(link => link.getAttribute('href') || link.getAttribute('xlink:href'))"
    )
    assert f"{prefect_server.url}/v2/artifacts/key/{promotions_key(name)}" in pages

    open_artifact(page, prefect_server, promotions_key(name))
    page.get_by_role("heading", name="What holds what now").wait_for()
    page.locator("td", has_text="Ann Lee").first.wait_for()
    page.locator(DIAGRAM).wait_for()
    shot(page, "promotions")

    open_artifact(page, prefect_server, verdict_key(name, "@champion"))
    page.locator("td", has_text="f1 >= 0.5").first.wait_for()
    page.get_by_test_id("markdown-display").get_by_text("Ann Lee (a claimed name)").wait_for()
    shot(page, "verdict")

    assert MOST_EDGES < 40 * 39 / 2
    open_artifact(page, prefect_server, artifact_key("large", name))
    page.locator('img[alt="Lineage"]').wait_for()
    page.wait_for_function("() => document.querySelector('img[alt=\"Lineage\"]').naturalWidth > 400")
    shot(page, "large")


def open_artifact(page: Page, server: PrefectServer, key: str) -> None:
    """Open the newest artifact of a key."""
    page.goto(f"{server.url}/v2/artifacts/key/{key}")
    page.locator('a[href*="/artifacts/artifact/"]').first.click()
    page.wait_for_url("**/artifacts/artifact/**")


def approve_in(page: Page, url: str, name: str) -> None:
    """Resume a flow run by its dialog."""
    page.goto(url)
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name="Resume").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name=f"to {name} @champion, in place of nobody?").wait_for()
    dialog.locator("td", has_text="f1 >= 0.5").first.wait_for()
    shot(page, "dialog")
    choice = dialog.get_by_role("button", name="Select Decision")
    assert choice.inner_text().strip() == "Select"  # nothing is chosen for whoever is asked
    dialog.get_by_label("Name", exact=True).fill("Ann Lee")
    dialog.get_by_label("Reason").fill("as agreed")
    choice.click()
    page.get_by_role("option", name="approve").click()
    shot(page, "dialog-filled")
    dialog.get_by_role("button", name="Resume").click()
    dialog.wait_for(state="hidden")
