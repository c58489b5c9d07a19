"""One gate, one evaluator and one set of data, which the tests of every door ask about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GATE = """
name: screening
when_no_champion: pass
checks:
  all_of:
    - {metric: recall, slices: site, at_least: 0.9, owner: clinic, reason: No site may be left behind.}
    - {metric: accuracy, improves_on: champion, by: 0, test: bootstrap}
    - {signature: compatible}
    - {budget: model_size, at_most: 1MB}
    - {metric: accuracy, at_least: 1.1, severity: warn}
    - any_of:
        - {metric: recall, at_least: 2}
        - {metric: precision, at_least: 0.5}
"""
EVALUATOR = {"kind": "classification", "target": "ill", "slices": ["site"], "rows": True, "latency_calls": 0}


def write_data(path: Path) -> None:
    """Write the rows that models are measured on: two sites, and as many ill as healthy."""
    rows = [f"{side * step / 10},{site},{int(side > 0)}" for site in "ns" for side in (-1, 1) for step in range(1, 9)]
    path.write_text("\n".join(["radius,site,ill", *rows, ""]))


def logged_model() -> str:
    """Log a model that finds all that are ill, and return its id."""
    import pandas
    from sklearn.linear_model import LogisticRegression

    from headgate.tasks import tracking

    inputs = pandas.DataFrame({"radius": [-2.0, -1.0, 1.0, 2.0]})
    with tracking.start_run():
        fitted = LogisticRegression().fit(inputs, [0, 0, 1, 1])
        return str(tracking.log_model(fitted, name="model", input_example=inputs).model_id)


def in_the_shell(store_url: str, *arguments: str) -> str:
    """Return what ``headgate gate …`` prints."""
    command = [sys.executable, "-m", "headgate.cli", "gate", *arguments, "--store", store_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked_in_the_shell(store_url: str, gate: Path, name: str, candidate: str) -> str:
    """Let the shell decide; return its decision as JSON."""
    import json

    asked = ("decide", candidate, "--gate", str(gate), "--model", name, "--to", "@champion", "--json")
    verdict_id = json.loads(in_the_shell(store_url, *asked))["verdict_id"]
    return in_the_shell(store_url, "explain", verdict_id, "--format", "decision").rstrip("\n")
