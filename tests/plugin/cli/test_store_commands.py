"""Commands that read and change the store: experiments, runs, models, gates, lineage, the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headgate.cli import main
from headgate.cli.documents import DOCUMENTED
from headgate.store.entities import Metric, RunContext, RunStatus
from headgate.store.migrate import HEAD, VERSION_TABLE
from headgate.store.store import Store
from tests.plugin.cli.conftest import CommandLine
from tests.store.lineage_world import NOW, Pipeline, run_pipeline

GATE = """\
name: screening
expires_after: 24h
when_no_champion: pass
checks:
  all_of:
    - {metric: recall, dataset: holdout, at_least: 0.9}
    - {metric: recall, improves_on: champion, dataset: holdout, severity: warn}
"""


@pytest.fixture
def made(store: Store) -> Pipeline:
    """One pipeline run, promoted."""
    return run_pipeline(store)


@pytest.fixture
def gate_file(tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text(GATE)
    return path


def is_document(name: str, document: Mapping[str, Any]) -> bool:
    return list(document) == list(DOCUMENTED[name])


# --- experiments and runs


def test_experiments_list(headgate: CommandLine, store: Store) -> None:
    store.experiments.create("tumor")
    listed = headgate.json("experiments", "list")
    assert [each["name"] for each in listed["experiments"]] == ["tumor", "Default"]
    assert all(is_document("experiment", each) for each in listed["experiments"])
    shown = headgate("experiments", "list").stdout.splitlines()
    assert shown[0].split() == ["id", "name", "stage", "created", "(UTC)", "artifacts"]
    assert shown[1].split()[1] == "tumor"
    first = headgate.json("experiments", "list", "--max-results", 1)
    rest = headgate.json("experiments", "list", "--page-token", first["next_page_token"])
    assert [each["name"] for each in rest["experiments"]] == ["Default"]


def test_deleted_experiments_are_shown_when_asked_for(headgate: CommandLine, store: Store) -> None:
    experiment = store.experiments.create("gone")
    store.experiments.delete(experiment.experiment_id)
    assert len(headgate.json("experiments", "list")["experiments"]) == 1
    assert len(headgate.json("experiments", "list", "--all")["experiments"]) == 2


def test_runs_list(headgate: CommandLine, store: Store, made: Pipeline) -> None:
    listed = headgate.json("runs", "list")
    assert {run["name"] for run in listed["runs"]} == {"tumor-screening", "prepare", "train", "evaluate"}
    assert all(is_document("run", run) for run in listed["runs"])
    assert headgate("runs", "list").stdout.splitlines()[0].startswith("run ")
    few = headgate.json("runs", "list", "--max-results", 3)
    more = headgate.json("runs", "list", "--max-results", 3, "--page-token", few["next_page_token"])
    assert len(few["runs"] + more["runs"]) == 4
    assert more["next_page_token"] is None


def test_runs_list_filters_orders_and_keeps_to_experiments(headgate: CommandLine, store: Store) -> None:
    for name, scores in {"one": (0.2, 0.9), "two": (0.5,)}.items():
        experiment = store.experiments.create(name)
        for score in scores:
            run = store.runs.open(experiment.experiment_id, name=f"{name}-{score}", params={"depth": "6"}, now=NOW)
            store.runs.log_batch(run.info.run_id, metrics=[Metric("f1", score, NOW)])
    listed = headgate.json("runs", "list", "--filter", "metrics.f1 > 0.3", "--order-by", "metrics.f1 ASC")
    assert [run["name"] for run in listed["runs"]] == ["two-0.5", "one-0.9"]
    of_one = headgate.json("runs", "list", "--experiment", "one", "--order-by", "metrics.f1 DESC")
    assert [run["metrics"] for run in of_one["runs"]] == [{"f1": 0.9}, {"f1": 0.2}]
    both = headgate.json("runs", "list", "--experiment", "one", "--experiment", "two")
    assert len(both["runs"]) == 3
    assert "f1" in headgate("runs", "list").stdout.splitlines()[0]


def test_a_filter_that_cannot_be_read_is_bad_input(headgate: CommandLine) -> None:
    error = headgate.error("runs", "list", "--filter", "metrics.f1 >>> 3")
    assert error["type"] == "InvalidFilter"
    assert "position" in error["attributes"]


def test_an_unknown_experiment_is_answered_with_the_closest(headgate: CommandLine, store: Store) -> None:
    store.experiments.create("tumor-screening")
    error = headgate.error("runs", "list", "--experiment", "tumor-screning")
    assert error["remedy"] == "Did you mean 'tumor-screening'?"
    assert headgate.error("runs", "list", "--experiment", "zzz")["remedy"] == "See: headgate experiments list"


def test_attempts_that_were_taken_over_are_shown_when_asked_for(headgate: CommandLine, store: Store) -> None:
    for _ in range(2):
        store.runs.open("0", context=RunContext("local", "p", "pr-1", "train"), now=NOW)
    assert len(headgate.json("runs", "list")["runs"]) == 1
    assert len(headgate.json("runs", "list", "--all-attempts")["runs"]) == 2


def test_runs_show(headgate: CommandLine, store: Store, made: Pipeline) -> None:
    run_id = made.train.info.run_id
    shown = headgate.json("runs", "show", made.parent.info.run_id)
    assert run_id in shown["children"]
    run = headgate.json("runs", "show", run_id)["run"]
    assert is_document("run", run)
    assert run["dataset_inputs"][0]["digest"] == "abc1"
    for nested, keys in {"dataset_inputs": run["dataset_inputs"][0], "context": run["context"]}.items():
        assert all(f"`{key}`" in DOCUMENTED["run"][nested] for key in keys)
    assert run["context"]["task"] == "train"
    text = headgate("runs", "show", run_id).stdout
    for expected in ("FINISHED", "n_estimators  50", "abc1", "mlflow.source.git.commit", "Params"):
        assert expected in text
    assert "Nested runs" in headgate("runs", "show", made.parent.info.run_id).stdout
    assert headgate.error("runs", "show", "nothing")["type"] == "NotFound"


def test_runs_compare(headgate: CommandLine, store: Store) -> None:
    ids = []
    for depth in ("6", "8"):
        run = store.runs.open("0", name=f"depth-{depth}", params={"depth": depth, "same": "x"}, now=NOW)
        nan_and_more = [Metric("f1", float(depth) / 10, NOW), Metric("odd", float("nan"), NOW)]
        store.runs.log_batch(run.info.run_id, metrics=nan_and_more)
        ids.append(run.info.run_id)
    compared = headgate.json("runs", "compare", *ids)
    assert compared == {
        "run_ids": ids,
        "params": {"depth": {ids[0]: "6", ids[1]: "8"}},
        "metrics": {"f1": {ids[0]: 0.6, ids[1]: 0.8}},
    }
    everything = headgate.json("runs", "compare", "--all", *ids)
    assert set(everything["params"]) == {"depth", "same"}
    assert everything["metrics"]["odd"] == {ids[0]: "NaN", ids[1]: "NaN"}
    assert "depth-6" in headgate("runs", "compare", *ids).stdout
    same = headgate("runs", "compare", ids[0], ids[0])
    assert (same.exit_code, same.stderr.splitlines()[0]) == (2, "error: Give at least two different runs.")


# --- models and gates


def test_models_list_and_show(headgate: CommandLine, store: Store, made: Pipeline) -> None:
    listed = headgate.json("models", "list")
    (model,) = listed["registered_models"]
    assert is_document("registered_model", model)
    assert model["aliases"] == {"champion": 1}
    assert "@champion → 1" in headgate("models", "list").stdout
    assert headgate.json("models", "list", "--filter", "name = 'other'")["registered_models"] == []
    whole = headgate.json("models", "show", "tumor")
    assert is_document("registered_model", whole["registered_model"])
    assert [is_document("model_version", version) for version in whole["versions"]] == [True]
    assert [is_document("guard", guard) for guard in whole["guards"]] == [True]
    assert "screening" in headgate("models", "show", "tumor").stdout


@pytest.mark.parametrize("subject", ["tumor/1", "tumor@champion", "models:/tumor@champion", "tumor/latest"])
def test_models_show_one_version(headgate: CommandLine, store: Store, made: Pipeline, subject: str) -> None:
    shown = headgate.json("models", "show", subject)
    assert is_document("model_version", shown["model_version"])
    assert is_document("logged_model", shown["logged_model"])
    assert shown["logged_model"]["model_id"] == made.model.model_id
    assert all(f"`{key}`" in DOCUMENTED["logged_model"]["metrics"] for key in shown["logged_model"]["metrics"][0])
    assert "recall" in headgate("models", "show", subject).stdout


def test_models_show_a_logged_model(headgate: CommandLine, store: Store, made: Pipeline) -> None:
    shown = headgate.json("models", "show", made.model.model_id)
    assert is_document("logged_model", shown["logged_model"])
    for unknown in ("nobody", "tumor/9", "tumor@nobody", "m-" + "0" * 32):
        assert headgate.error("models", "show", unknown)["type"] == "NotFound"


def test_models_history_and_rollback(headgate: CommandLine, store: Store, made: Pipeline) -> None:
    run_pipeline(store, 2)
    promotions = headgate.json("models", "history", "tumor")["promotions"]
    assert all(is_document("promotion", each) for each in promotions)
    assert [each["to_version"] for each in promotions] == [1, 2]
    back = headgate.json("models", "rollback", "tumor", "--target", "@champion", "--reason", "bad", "--actor", "bob")
    assert is_document("promotion", back)
    assert (back["kind"], back["to_version"], back["actor"], back["reason"]) == ("roll_back", 1, "bob", "bad")
    newest = headgate.json("models", "history", "tumor", "--target", "@champion", "--max-results", 1)["promotions"]
    assert newest == [back]
    text = headgate("models", "history", "tumor").stdout.splitlines()
    assert len(text) == 4
    assert "roll_back" in text[-1]
    assert headgate.json("models", "history", "tumor", "--target", "Production")["promotions"] == []


def test_a_rollback_that_names_the_version_may_run_twice(headgate: CommandLine, store: Store, made: Pipeline) -> None:
    run_pipeline(store, 2)
    words = ("models", "rollback", "tumor", "--target", "@champion", "--from-version", 2)
    assert headgate.json(*words) == headgate.json(*words)
    assert "version 1 holds it now, in place of version 2" in headgate(*words).stdout
    error = headgate.error("models", "rollback", "tumor", "--to", "@champion", "--version", 7, exit_code=3)
    assert error["type"] == "PromotionRefused"


def test_a_history_of_nobody_is_bad_input(headgate: CommandLine, store: Store) -> None:
    assert headgate.error("models", "history", "nobody")["type"] == "NotFound"
    store.registry.get_or_create_model("new", now=NOW)
    assert headgate.json("models", "history", "new") == {"promotions": []}


@pytest.mark.parametrize("target", ["champion", "@", "stage:Nowhere", "None", "@v1"])
def test_a_target_that_is_none_is_bad_input(headgate: CommandLine, target: str) -> None:
    assert headgate.error("models", "rollback", "tumor", "--target", target)["type"] == "InvalidInput"


def test_gate_decide_and_promote(headgate: CommandLine, store: Store, gate_file: Path) -> None:
    made = run_pipeline(store, promote=False)
    words = ("--gate", gate_file, "--model", "tumor", "--target", "@champion", "--actor", "alice")
    verdict = headgate.json("gate", "decide", made.model.model_id, *words)
    assert is_document("verdict", verdict)
    assert (verdict["outcome"], verdict["decided_by"]) == ("pass", "alice")
    assert all(f"`{key}`" in DOCUMENTED["verdict"]["checks"] for key in verdict["checks"][0])
    assert headgate.json("gate", "explain", verdict["verdict_id"]) == {**verdict, "approvals": []}
    explained = headgate("gate", "explain", verdict["verdict_id"])
    assert explained.stdout.startswith("PASS: gate screening on m-")
    by_verdict = ("models", "promote", "tumor", "--verdict", verdict["verdict_id"])
    store.registry.create_model("tumor", now=NOW)
    version = store.registry.create_version("tumor", model_id=made.model.model_id, now=NOW).version
    other = run_pipeline(store, promote=False).model.model_id
    assert "candidate_model_id" in headgate.error(*by_verdict[:3], other, *by_verdict[3:])["message"]
    assert "target" in headgate.error(*by_verdict, "--to", "@shadow")["message"]
    assert "model_name" in headgate.error("models", "promote", "lung", *by_verdict[3:])["message"]
    promoted = headgate.json(*by_verdict[:3], version, *by_verdict[3:], "--to", "@champion", "--reason", "better")
    assert (
        headgate.json(*by_verdict[:3], f"models:/tumor/{version}", *by_verdict[3:])["promotion"]
        == promoted["promotion"]
    )
    assert is_document("promotion", promoted["promotion"])
    assert is_document("verdict", promoted["verdict"])
    assert promoted["promotion"]["to_version"] == 1


def test_promote_asks_the_gate(headgate: CommandLine, store: Store, gate_file: Path) -> None:
    made = run_pipeline(store, promote=False)
    ran = headgate("models", "promote", "tumor", made.model.model_id, "--gate", gate_file, "--to", "@champion")
    assert ran.exit_code == 0, ran.stderr
    assert "PASS: gate screening" in ran.stdout
    assert "tumor @champion: version 1 holds it now" in ran.stdout
    again = headgate("models", "promote", "tumor", 1, "--gate", gate_file, "--to", "@champion")
    assert again.exit_code == 0, again.stderr
    assert len(store.promotions.history("tumor")) == 1


@pytest.mark.parametrize(
    ("change", "outcome", "code"),
    [
        (("at_least: 0.9", "at_least: 0.99"), "reject", 3),
        (("metric: recall, dataset", "metric: nothing, dataset"), "error", 3),
        (("when_no_champion: pass", "when_no_champion: hold"), "pass", 0),
        ((", severity: warn", ""), "pass", 0),
    ],
)
def test_the_exit_code_is_the_verdict(
    headgate: CommandLine, store: Store, gate_file: Path, change: tuple[str, str], outcome: str, code: int
) -> None:
    made = run_pipeline(store, promote=False)
    gate_file.write_text(GATE.replace(*change))
    words = ("--gate", gate_file, "--target", "@champion")
    decided = headgate.json("gate", "decide", made.model.model_id, "--model", "tumor", *words, exit_code=code)
    assert decided["outcome"] == outcome
    assert headgate("models", "promote", "tumor", made.model.model_id, *words).exit_code == code


def test_a_gate_that_holds_ends_with_4(headgate: CommandLine, store: Store, gate_file: Path) -> None:
    made = run_pipeline(store, promote=False)
    gate_file.write_text(GATE.replace("champion: pass", "champion: hold").replace(", severity: warn", ""))
    words = ("--gate", gate_file, "--target", "Production")
    decided = headgate.json("gate", "decide", made.model.model_id, "--model", "tumor", *words, exit_code=4)
    assert (decided["outcome"], decided["target"]) == ("hold", "stage:Production")
    error = headgate.error("models", "promote", "tumor", made.model.model_id, *words, exit_code=4)
    assert (error["type"], error["remedy"]) == ("GateHeld", "Somebody has to look at it; then decide again.")
    assert store.promotions.history("tumor") == ()


def test_a_gate_that_waits_for_people_says_how_they_agree(
    headgate: CommandLine, made: Pipeline, tmp_path: Path
) -> None:
    gate = tmp_path / "approved.yaml"
    gate.write_text("name: g\nchecks: {all_of: [{approval: required}]}\n")
    words = ("--to", "@shadow", "--gate", gate)
    error = headgate.error("models", "promote", "tumor", made.model.model_id, *words, exit_code=4)
    said = f"headgate gate approve {error['attributes']['verdict_id']}"
    assert error["remedy"] == f"Once people agree ({said}), decide again."
    assert headgate(*said.split()[1:], "--reason", "fine").exit_code == 0
    assert headgate("models", "promote", "tumor", made.model.model_id, *words).exit_code == 0


def test_promote_refuses_what_does_not_go_together(headgate: CommandLine, made: Pipeline, gate_file: Path) -> None:
    assert made.verdict is not None
    verdict_id = made.verdict.verdict_id
    refused = [
        ("models", "promote", "tumor"),
        ("models", "promote", "tumor", made.model.model_id, "--gate", gate_file),
        ("models", "promote", "tumor", "--verdict", verdict_id, "--gate", gate_file),
    ]
    for words in refused:
        assert headgate.error(*words)["type"] == "UsageError", words
    of_another = [
        ("models", "promote", "other", "--verdict", verdict_id),
        ("models", "promote", "tumor", "--verdict", verdict_id, "--target", "@other"),
        ("models", "promote", "tumor", "m-1", "--verdict", verdict_id),
    ]
    for words in of_another:
        assert headgate.error(*words)["type"] == "InvalidInput", words
    assert headgate.error("gate", "decide", "m-1", "--model", "x", "--to", "@a", "--gate", "no.yaml")["type"] == (
        "InvalidGate"
    )


# --- lineage


def test_lineage_show(headgate: CommandLine, made: Pipeline) -> None:
    document = headgate.json("lineage", "show", "tumor@champion")
    assert list(document) == list(DOCUMENTED["lineage"])
    assert headgate("lineage", "show", "tumor@champion", "--format", "json").stdout == json_text(document)
    text = headgate("lineage", "show", "tumor@champion").stdout
    assert text.startswith("alias tumor@champion\n└─ tumor version 1\n")
    mermaid = headgate("lineage", "show", made.model.model_id, "--format", "mermaid").stdout
    assert mermaid.startswith("flowchart LR\n")
    up = headgate.json("lineage", "show", made.model.model_id, "--upstream")
    down = headgate.json("lineage", "show", made.model.model_id, "--downstream")
    assert {"alias"} == {node["kind"] for node in down["nodes"]} - {node["kind"] for node in up["nodes"]} - {
        *("evaluation", "verdict", "promotion", "model_version")
    }
    assert headgate.json("lineage", "show", "tumor@champion", "--limit", 2)["truncated"]
    assert headgate.error("lineage", "show", "tumor@nobody")["type"] == "NotFound"
    assert headgate.error("lineage", "show", "???")["type"] == "InvalidInput"


def json_text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


# --- the database


def test_db_upgrade_and_status(tmp_path: Path) -> None:
    headgate = CommandLine(f"sqlite:///{tmp_path}/new/headgate.db", str(tmp_path))
    before = headgate.json("db", "status", exit_code=2)
    assert before == {
        "url": headgate.url,
        "dialect": "sqlite",
        "revision": None,
        "head": HEAD,
        "up_to_date": False,
    }
    assert not (tmp_path / "new").exists()
    assert headgate.json("db", "upgrade") == {"before": None, "after": HEAD, "changed": True}
    assert headgate.json("db", "upgrade") == {"before": HEAD, "after": HEAD, "changed": False}
    assert headgate.json("db", "status")["up_to_date"] is True
    assert "up_to_date  yes" in headgate("db", "status").stdout
    assert headgate("db", "upgrade").stdout == ""


def test_a_database_of_a_newer_headgate_is_refused(headgate: CommandLine, store: Store, tmp_path: Path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "headgate.db") as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    for words in (("db", "upgrade"), ("experiments", "list")):
        assert headgate.error(*words)["type"] == "SchemaTooNew"
    assert headgate.json("db", "status", exit_code=2)["revision"] == "9999"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nonsense", "oracle://x/y"])
def test_a_store_url_that_cannot_be_used_is_bad_input(url: str) -> None:
    ran = CliRunner().invoke(main, ["db", "status", "--store", url])
    assert ran.exit_code == 2
    assert ran.stderr.startswith("error: ")


def test_names_cannot_write_to_the_terminal(headgate: CommandLine, store: Store) -> None:
    run = store.runs.open("0", name="evil\x1b[2J\nname", tags={"note": "a\x07b"}, now=NOW)
    store.runs.finish(run.info.run_id, RunStatus.FINISHED, end_time=NOW)
    shown = headgate("runs", "list").stdout + headgate("runs", "show", run.info.run_id).stdout
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "evil\\x1b[2J\\nname" in shown
