"""OpenLineage hears which models, datasets and checks a task was about, from the task's own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from headgate.airflow.openlineage import Test as Checked
from headgate.airflow.openlineage import Thing, Traced, read_lineage
from headgate.airflow.references import run_reference, verdict_reference, version_reference
from headgate.store.clock import now_ms
from headgate.store.entities import CheckResult, Dataset, DatasetInput, ModelInput, ModelOutput, Outcome, RunStatus
from headgate.store.store import Store
from headgate.tasks import approve
from headgate.tasks.run_result import RunResult
from tests.store.promotion_cases import CHAMPION, candidate, draft

ROOT = Path(__file__).parents[3]
STORE = "headgate://headgate_default"
FAILED = CheckResult(
    path="all_of[1]",
    kind="threshold",
    rule="latency <= 10",
    outcome=Outcome.REJECT,
    threshold=10.0,
    actual=12.0,
    message="latency is 12, which is more than 10.",
)


def recorded_verdict(store: Store, model: str, **changes: Any) -> Any:
    now = now_ms()
    return store.verdicts.record(
        draft(store, candidate(store), model_name=model, decided_at=now, expires_at=now + 3_600_000, **changes)
    )


def test_tasks_in_a_real_airflow_emit_inputs_outputs_and_checks(
    store: Store, airflow_database: None, tmp_path: Path
) -> None:
    model = f"screening_{uuid.uuid4().hex[:8]}"
    passing = recorded_verdict(store, model)
    rejecting = recorded_verdict(store, model, outcome=Outcome.REJECT, checks=(*passing.checks, FAILED))
    approve(store, passing.verdict_id, actor="alice", source="shell")
    told, states = tmp_path / "lineage.jsonl", tmp_path / "states.json"
    transport = {"type": "file", "log_file_path": str(told), "append": True}
    environment = {**os.environ, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    command = [sys.executable, "-m", "tests.plugin.airflow.emits_lineage", model]
    ran = subprocess.run(
        [*command, passing.verdict_id, rejecting.verdict_id, str(states)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(states.read_text()) == {
        **dict.fromkeys(("approve", "promote", "train"), "success"),
        "reject": "failed",
    }
    trained = _told_last(told, "train", "COMPLETE")
    assert [each["key"] for each in trained["run"]["facets"]["executionParameters"]["parameters"]] == ["depth"]
    approved = _told_last(told, "approve", "COMPLETE")
    assert [source["name"] for source in approved["inputs"]] == [f"logged-models/{passing.candidate_model_id}"]
    assert [check["status"] for check in approved["run"]["facets"]["test"]["tests"]] == ["pass"]

    promoted = _told_last(told, "promote", "COMPLETE")
    (source,), (target,) = promoted["inputs"], promoted["outputs"]
    assert (source["namespace"], source["name"]) == (STORE, f"logged-models/{passing.candidate_model_id}")
    assert (target["namespace"], target["name"]) == (STORE, f"models/{model}{CHAMPION}")
    assert target["facets"]["datasetType"]["datasetType"] == "MODEL"
    assert target["facets"]["version"]["datasetVersion"] == "1"
    (check,) = promoted["run"]["facets"]["test"]["tests"]
    assert (check["name"], check["status"], check["expected"], check["actual"]) == (
        "recall >= 0.95",
        "pass",
        "0.95",
        "0.97",
    )
    rejected = _told_last(told, "reject", "FAIL")
    assert rejected["outputs"] == [] or all(found["name"] != target["name"] for found in rejected["outputs"])
    assert [check["status"] for check in rejected["run"]["facets"]["test"]["tests"]] == ["pass", "fail"]


def _told_last(file: Path, task: str, kind: str) -> dict[str, Any]:
    events = [json.loads(line) for line in file.read_text().splitlines()]
    return [event for event in events if event["job"]["name"].endswith(f".{task}") and event["eventType"] == kind][-1]


def test_a_run_tells_its_data_its_models_and_its_params(store: Store) -> None:
    run_id = store.runs.open("0", params={"depth": "6"}).info.run_id
    made = store.logged_models.create("0", name="forest", source_run_id=run_id, now=0)
    used = candidate(store)
    store.datasets.log_inputs(run_id, [DatasetInput(Dataset("holdout", "feed1234"))], [ModelInput(used.model_id)])
    store.datasets.log_outputs(run_id, [ModelOutput(made.model_id)])
    reference = run_reference(RunResult(run_id, RunStatus.FINISHED), "0")

    assert read_lineage(store, reference, "headgate_default") == Traced(
        inputs=(
            Thing(STORE, "datasets/holdout", "DATASET", "feed1234"),
            Thing(STORE, f"logged-models/{used.model_id}", "MODEL"),
        ),
        outputs=(Thing(STORE, f"logged-models/{made.model_id}", "MODEL"),),
        params={"depth": "6"},
    )


def test_a_verdict_tells_its_candidate_and_each_check(store: Store) -> None:
    verdict = recorded_verdict(store, "screening", outcome=Outcome.REJECT, checks=(FAILED,))
    assert read_lineage(store, verdict_reference(verdict), "other") == Traced(
        inputs=(Thing("headgate://other", f"logged-models/{verdict.candidate_model_id}", "MODEL", "ab" * 32),),
        tests=(Checked(FAILED.rule, "fail", "error", "threshold", FAILED.message, "10.0", "12.0"),),
    )


def test_a_registration_tells_the_version(store: Store) -> None:
    model = candidate(store)
    store.registry.create_model("screening", now=0)
    version = store.registry.create_version("screening", model_id=model.model_id, now=0)
    assert read_lineage(store, version_reference(version, "ab" * 32), "headgate_default") == Traced(
        inputs=(Thing(STORE, f"logged-models/{model.model_id}", "MODEL", "ab" * 32),),
        outputs=(Thing(STORE, "models/screening", "MODEL", "1"),),
    )


def test_a_validation_tells_its_data_and_what_the_suite_said(store: Store) -> None:
    reference = {"suite": "quality", "run_id": "a", "dataset": "holdout", "digest": "feed", "outcome": "reject"}
    assert read_lineage(store, {**reference, "reasons": ["age is negative"]}, "headgate_default") == Traced(
        inputs=(Thing(STORE, "datasets/holdout", "DATASET", "feed"),),
        tests=(Checked("quality", "fail", description="age is negative"),),
    )


def test_a_watch_tells_whom_it_watched_and_whom_it_brought_back(store: Store) -> None:
    now = now_ms()
    store.promotions.promote(recorded_verdict(store, "screening").verdict_id, actor="alice", now=now)
    later = recorded_verdict(store, "screening")
    promotion = store.promotions.promote(later.verdict_id, actor="alice", now=now)
    back = store.promotions.roll_back("screening", CHAMPION, actor="watch", now=now)
    reference = {"promotion_id": promotion.promotion_id, "model_name": "screening", "target": CHAMPION, "version": 2}
    target = f"models/screening{CHAMPION}"
    found = read_lineage(
        store, {**reference, "verdict_id": later.verdict_id, "rollback_id": back.promotion_id}, "headgate_default"
    )
    assert found.inputs == (Thing(STORE, target, "MODEL", "2"),)
    assert found.outputs == (Thing(STORE, target, "MODEL", "1"),)
    assert [check.status for check in found.tests] == ["pass"]
    sound = read_lineage(store, {**reference, "verdict_id": None, "rollback_id": None}, "headgate_default")
    assert (sound.outputs, sound.tests) == ((), ())


def test_what_is_no_reference_tells_nothing(store: Store) -> None:
    assert read_lineage(store, {"rows": 3}, "headgate_default") == Traced()


def test_nothing_is_read_where_nobody_asks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from headgate.airflow import GateOperator

    def read(*_: Any) -> Traced:
        raise AssertionError("the store was read")

    monkeypatch.setattr("headgate.airflow.openlineage.read_lineage", read)
    operator = GateOperator(task_id="gate", gate="gate.yaml", model_name="a", candidate="m-1")
    operator.trace({"verdict_id": "v-1"})
    assert operator.get_openlineage_facets_on_complete(None) is None
