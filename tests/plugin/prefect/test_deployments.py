"""What is deployed: a flow that a promotion triggers, and one that ends its process while somebody is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from headgate.prefect.channel import tell_promotion
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import decide_promotion, promote, roll_back
from tests.plugin.prefect.answers import answer, paused_runs, post, wait_for_question
from tests.plugin.prefect.projects import GATE, measured, new_name
from tests.plugin.prefect.server import guarded, shown, wait_until

if TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.prefect.server import PrefectServer

SERVED = """
import json
import os

from prefect import flow, serve

from headgate.prefect import approve_promotion, decide_gate, promote_model, promoted
from tests.plugin.prefect.projects import GATE

NAME, FOLDER, MODEL = (os.environ[each] for each in ("NAME", "FOLDER", "MODEL"))


def note(name, **said):
    with open(os.path.join(FOLDER, name), "a") as file:
        file.write(json.dumps(said) + "\\n")


@flow(name=f"deploy-{NAME}")
def deploy(model: str, version: int, verdict_id: str | None = None):
    note("deployed", model=model, version=version, verdict_id=verdict_id)


@flow(name=f"asks-{NAME}")
def asks():
    note("started", pid=os.getpid())
    verdict = decide_gate(GATE, model_name=f"{NAME}-asked", candidate=MODEL)
    approve_promotion(verdict, suspend=True)
    promotion = promote_model(verdict=verdict, require_approval=True)
    note("approved", by=promotion.approved_by, version=promotion.to_version)


if __name__ == "__main__":
    serve(
        deploy.to_deployment("on-promotion", triggers=[promoted(NAME, alias="champion")]),
        asks.to_deployment("asking"),
        pause_on_shutdown=False,
    )
"""

ROOT = Path(__file__).parents[3]


class Served:
    """Two deployments that a process of their own serves.

    Args:
        name: the model's, and the end of the flows'.
        folder: where the flows note what they did.
    """

    def __init__(self, name: str, folder: Path, log: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = log

    def noted(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, name: str, count: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.noted(name)) >= count, lambda: f"{count} {name}:\n{shown(self.log)}")
        return self.noted(name)


@pytest.fixture
def served(store: Store, store_url: str, prefect_server: PrefectServer, tmp_path: Path) -> Iterator[Served]:
    name, model_id = new_name(), measured(store, 0.9)
    (tmp_path / "served.py").write_text(SERVED)
    command = [sys.executable, str(tmp_path / "served.py")]
    told = {"NAME": name, "FOLDER": str(tmp_path), "MODEL": model_id, "PYTHONPATH": str(ROOT)}
    log = tmp_path / "served.log"
    environment = {**prefect_server.environment, "HEADGATE_STORE_URL": store_url, **told}
    with guarded(command, log, environment, tmp_path) as guardian:

        def deployed() -> bool:
            assert guardian.poll() is None, shown(log)
            wanted = {"deployments": {"name": {"any_": ["asking"]}}, "flows": {"name": {"any_": [f"asks-{name}"]}}}
            return bool(post(prefect_server, "/deployments/filter", wanted))

        wait_until(deployed, lambda: f"deployment:\n{shown(log)}")
        yield Served(name, tmp_path, log)


def test_a_promotion_triggers_and_an_approval_outlives_its_process(
    served: Served, store: Store, prefect_server: PrefectServer
) -> None:
    (asking,) = post(prefect_server, "/deployments/filter", {"flows": {"name": {"any_": [f"asks-{served.name}"]}}})
    post(prefect_server, f"/deployments/{asking['id']}/create_flow_run", {})

    other = promote_as(store, new_name())  # no trigger waits for it
    first = promote_as(store, served.name, 0.8)
    for promotion_id in (other, first):
        assert tell_promotion(store, promotion_id)
        assert not tell_promotion(store, promotion_id)
    verdict_id = store.promotions.get(first).verdict_id
    assert served.wait_for("deployed", 1) == [{"model": served.name, "version": 1, "verdict_id": verdict_id}]

    flow_run_id = wait_for_question(prefect_server, f"asks-{served.name}")
    assert paused_runs(prefect_server, f"asks-{served.name}")[0]["state"]["name"] == "Suspended"
    (started,) = served.noted("started")
    wait_until(lambda: not Path(f"/proc/{started['pid']}").exists(), "end of the process that asked")
    assert answer(prefect_server, flow_run_id, {"decision": "approve", "name": "Ann"})["status"] == "ACCEPT"

    second = promote_as(store, served.name, 0.9)
    assert tell_promotion(store, second)
    back = roll_back(store, served.name, "@champion", actor="ann")
    assert tell_promotion(store, back.promotion_id)
    told = served.wait_for("deployed", 3)
    assert sorted((each["version"], each["verdict_id"] is None) for each in told) == [(1, False), (1, True), (2, False)]

    assert served.wait_for("approved", 1) == [{"by": "Ann", "version": 1}]
    assert len(served.noted("started")) == 2
    (promotion,) = store.promotions.history(f"{served.name}-asked")
    (word,) = store.approvals.of_verdict(str(promotion.verdict_id))
    assert (word.actor, word.decision, word.approval_id) == ("Ann", "approve", promotion.approval_id)


def promote_as(store: Store, name: str, f1: float = 0.9) -> str:
    verdict = decide_promotion(store, gate_from_definition(GATE), name, "@champion", measured(store, f1))
    return promote(store, verdict.verdict_id, actor="ann").promotion_id
