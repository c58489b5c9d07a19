"""One gate file, asked from Prefect, from the shell and from Python: the same decision, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow

from headgate.prefect import decide_gate, measure_model, promote_model
from headgate.prefect.artifacts.publish import artifact_key, newest_artifacts
from headgate.store import Store
from headgate.tasks import decide_promotion, decision_json, load_gate
from tests.gate_everywhere import EVALUATOR, GATE, asked_in_the_shell, logged_model, write_data

pytestmark = pytest.mark.usefixtures("prefect_server")
NAME = "screening"


def test_the_same_gate_decides_the_same_wherever_it_is_asked(store: Store, tmp_path: Path) -> None:
    gate, data = tmp_path / "gate.yaml", tmp_path / "holdout.csv"
    gate.write_text(GATE)
    write_data(data)
    champion, candidate = logged_model(), logged_model()
    strict = {"name": "strict", "checks": {"all_of": [{"metric": "recall", "above": 1}]}}

    @flow
    def everywhere():
        measure_model(EVALUATOR, data, model=champion)
        promote_model(champion, gate=gate, model_name=NAME)
        measured = measure_model(EVALUATOR, data, model=candidate, gate=gate, model_name=NAME)
        watched = decide_gate(strict, model_name=NAME, candidate=measured, shadow=True)
        return watched, decide_gate(gate, model_name=NAME, candidate=measured)

    watched, by_prefect = everywhere()
    shown = newest_artifacts(artifact_key("run", "everywhere", "measure_model"), 10)
    assert sum("| recall | 1 |" in str(artifact.data) for artifact in shown) == 2
    assert (watched.shadow, watched.outcome) == (True, "reject")
    by_python = decide_promotion(store, load_gate(gate), NAME, "@champion", candidate)
    assert by_prefect.verdict_id != by_python.verdict_id
    said = decision_json(by_prefect).encode()
    assert decision_json(by_python).encode() == said
    assert asked_in_the_shell(store.url, gate, NAME, candidate).encode() == said
