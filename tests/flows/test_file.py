"""The pipeline file: the same value as in Python, and every mistake with its line and remedy."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.flows import (
    Choice,
    Pipeline,
    PipelineParameter,
    PromotionBlock,
    Schedule,
    Step,
    Sweep,
    find_pipeline,
    parse_pipeline,
    read_pipeline,
)
from headgate.store.errors import InvalidPipeline

FULL = """\
name: tumor-screening
description: Weekly retraining.
experiment: screening
schedule: {cron: "0 3 * * 1", timezone: Europe/Berlin, after: "model:scanner@champion"}
project: ../project
version: v1.2
env: virtualenv
parameters:
  window: 24
  learning_rate: 1e-3
  region: {type: string, description: Where the data comes from, choices: [eu, us]}
  strict: true
steps:
  prepare: {entry_point: prepare, parameters: {window: "{{params.window}}"}}
  train:
    entry_point: train
    parameters: {data: "{{ steps.prepare.artifacts['train.parquet'] }}", max_depth: 6, rate: 0.10, fresh: true}
    sweep: {n_estimators: [50, 100, 200]}
    choose: {metric: val_f1}
    env: local
    timeout: 1.5h
    retries: 2
  evaluate:
    entry_point: evaluate
    project: https://example.com/evaluate.git#folder
    version: 1.10
    parameters: {model: "{{ steps.train.model }}", when: "{{ run.logical_date }}"}
    needs: [prepare]
  report: {needs: evaluate}
promote:
  model: tumor-screening
  candidate: "{{ steps.train.model }}"
  to: "@champion"
  gate: gates/screening.yaml
  needs: [evaluate]
  evaluate: evaluate
  allow_older: true
  on_reject: skip
"""


def full_in_python(folder: Path) -> Pipeline:
    prepare = Step("prepare", entry_point="prepare", parameters={"window": "{{ params.window }}"})
    train = Step(
        "train",
        entry_point="train",
        parameters={"data": prepare.artifact("train.parquet"), "max_depth": 6, "rate": "0.10", "fresh": True},
        sweep={"n_estimators": [50, 100, 200]},
        choose=Choice("val_f1"),
        env="local",
        timeout=5400,
        retries=2,
    )
    evaluate = Step(
        "evaluate",
        entry_point="evaluate",
        project="https://example.com/evaluate.git#folder",
        version="1.10",
        parameters={"model": train.model, "when": "{{ run.logical_date }}"},
        needs=[prepare],
    )
    return Pipeline(
        "tumor-screening",
        description="Weekly retraining.",
        experiment="screening",
        schedule=Schedule("0 3 * * 1", "Europe/Berlin", after=("model:scanner@champion",)),
        project="../project",
        version="v1.2",
        env="virtualenv",
        parameters={
            "window": 24,
            "learning_rate": 0.001,
            "region": PipelineParameter("region", description="Where the data comes from", choices=("eu", "us")),
            "strict": True,
        },
        steps=[prepare, train, evaluate, Step("report", needs=[evaluate])],
        promote=PromotionBlock(
            model="tumor-screening",
            candidate=train.model,
            to="@champion",
            gate=Path("gates/screening.yaml"),
            needs=[evaluate],
            evaluate=evaluate,
            allow_older=True,
            on_reject="skip",
        ),
        folder=folder,
    )


def test_a_file_and_the_same_thing_in_python_are_equal(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(FULL)
    pipeline = read_pipeline(tmp_path)
    assert pipeline == full_in_python(tmp_path)
    assert pipeline == read_pipeline(tmp_path / "pipeline.yaml")
    assert pickle.loads(pickle.dumps(pipeline)) == pipeline


def test_a_gate_may_stand_in_the_file() -> None:
    definition = {"name": "recall", "checks": {"all_of": [{"metric": "recall", "at_least": 0.95}]}}
    text = """\
name: p
steps: {train: {}}
promote:
  model: m
  candidate: "{{ steps.train.model }}"
  to: "@champion"
  gate:
    name: recall
    checks:
      all_of:
        - {metric: recall, at_least: 0.95}
"""
    train = Step("train")
    promote = PromotionBlock(model="m", candidate=train.model, to="@champion", gate=definition)
    assert parse_pipeline(text) == Pipeline("p", steps=[train], promote=promote)


def test_short_forms_are_one_value() -> None:
    train = Step("train")
    assert Step("a", parameters={"x": 6}) == Step("a", parameters={"x": "6"})
    assert Step("a", needs="b") == Step("a", needs=["b", "b"])
    assert Step("a", sweep={"x": [1]}) == Step("a", sweep=Sweep({"x": ["1"]}))
    assert Step("a", choose={"metric": "f1"}) == Step("a", choose=Choice("f1", "max"))
    assert Step("a", parameters={"x": train.metric("f1")}) == Step(
        "a", parameters={"x": "{{steps['train'].metrics.f1}}"}
    )
    with pytest.raises(InvalidPipeline, match="can't be a parameter's value"):
        Step("a", parameters={"x": object()})  # type: ignore[dict-item]


def test_a_sweep_tries_every_combination_in_order() -> None:
    members = Sweep({"depth": [1, 2], "rate": [0.1, 0.2]}).members()
    assert [{key: str(value) for key, value in member.items()} for member in members] == [
        {"depth": "1", "rate": "0.1"},
        {"depth": "1", "rate": "0.2"},
        {"depth": "2", "rate": "0.1"},
        {"depth": "2", "rate": "0.2"},
    ]


def test_projects_and_paths_start_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(FULL)
    pipeline = read_pipeline(tmp_path)
    assert pipeline.project_of(pipeline.step("train")) == (str(tmp_path / "../project"), "v1.2")
    assert pipeline.project_of(pipeline.step("evaluate")) == ("https://example.com/evaluate.git#folder", "1.10")
    with pytest.raises(KeyError):
        pipeline.step("nothing")


HEAD = "name: p\n"
STEPS = "steps:\n  prepare: {entry_point: prepare}\n  train: {entry_point: train}\n"
PROMOTE = "promote:\n  model: m\n  candidate: '{{ steps.train.model }}'\n  to: '@champion'\n  gate: gate.yaml\n"

# What the file says, and for each mistake: its line, words of it, words of its remedy.
MISTAKES = {
    "unknown key": (f"{HEAD}schedul: '@daily'\n{STEPS}", [(2, "no key 'schedul'", "Did you mean 'schedule'?")]),
    "unknown key far from all": (f"{HEAD}zzz: 1\n{STEPS}", [(2, "no key 'zzz'", "Known: name")]),
    "unknown key of a step": (
        f"{HEAD}steps:\n  train:\n    entrypoint: x\n",
        [(4, "'train' has no key 'entrypoint'", "Did you mean 'entry_point'?")],
    ),
    "unknown key of promote": (
        f"{HEAD}{STEPS}{PROMOTE}  allow_old: true\n",
        [(10, "promote has no key 'allow_old'", "'allow_older'")],
    ),
    "unknown key of a schedule": (
        f"{HEAD}{STEPS}schedule:\n  corn: x\n  cron: '@daily'\n",
        [(6, "no key 'corn'", "Did you mean 'cron'?")],
    ),
    "unknown key of a parameter": (
        f"{HEAD}{STEPS}parameters:\n  a:\n    typ: int\n    default: 1\n",
        [(7, "no key 'typ'", "Did you mean 'type'?")],
    ),
    "unknown key of choose": (
        f"{HEAD}steps:\n  train:\n    sweep: {{a: [1, 2]}}\n    choose: {{metric: f1, direction: max}}\n",
        [(5, "no key 'direction'", "Known: metric, mode")],
    ),
    "key twice": (f"{HEAD}{STEPS}name: q\n", [(5, "`name` is written twice", "Keep one")]),
    "no name": (STEPS, [(1, "no name", "Add name")]),
    "empty name": (f"name: ''\n{STEPS}", [(1, "no usable name", "1 to 250")]),
    "a name of nothing": (f"name:\n{STEPS}", [(1, "no name", "Add name")]),
    "no steps": (HEAD, [(1, "no steps", "Add steps")]),
    "empty steps": (f"{HEAD}steps:\n", [(2, "no steps", "Add steps")]),
    "steps as a list": (f"{HEAD}steps: [a]\n", [(2, "steps must be keys and values", "key: value")]),
    "a step that is a word": (f"{HEAD}steps:\n  train: train.py\n", [(3, "Step 'train' must be keys", "key: value")]),
    "a bad step name": (f"{HEAD}steps:\n  train model: {{}}\n", [(3, "'train model' can't name a step", "letters")]),
    "cycle": (
        HEAD + "steps:\n  a: {needs: c}\n  b: {parameters: {x: '{{ steps.a.model }}'}}\n  c: {needs: [b]}\n",
        [(3, "in a cycle: a → b → c → a", "Remove one")],
    ),
    "two cycles": (
        f"{HEAD}steps:\n  a: {{needs: b}}\n  b: {{needs: a}}\n  c: {{needs: d}}\n  d: {{needs: c}}\n",
        [(3, "a → b → a", "Remove"), (5, "c → d → c", "Remove")],
    ),
    "self": (f"{HEAD}steps:\n  a: {{needs: a}}\n", [(3, "'a' waits for itself", "before it")]),
    "unknown step in needs": (
        f"{HEAD}steps:\n  prepare: {{}}\n  train:\n    needs:\n      - prepar\n",
        [(5, "needs 'prepar', which is not a step", "Did you mean 'prepare'?")],
    ),
    "unknown step in a reference": (
        HEAD + "steps:\n  prepare: {}\n  train:\n    parameters:\n      x: 1\n      m: '{{ steps.prepair.model }}'\n",
        [(7, "'train' refers to 'prepair'", "Did you mean 'prepare'?")],
    ),
    "unknown field of a reference": (
        f"{HEAD}steps:\n  a: {{}}\n  b:\n    parameters:\n      m: '{{{{ steps.a.modle }}}}'\n",
        [(6, "'modle'", "Did you mean 'model'?")],
    ),
    "unquoted reference": (
        f"{HEAD}parameters: {{x: 1}}\nsteps:\n  a:\n    parameters:\n      x: {{{{ params.x }}}}\n",
        [(6, "has no quotes", "in quotes")],
    ),
    "unknown parameter": (
        f"{HEAD}parameters: {{window: 3}}\nsteps:\n  a:\n    parameters:\n      w: '{{{{ params.windw }}}}'\n",
        [(6, "params.windw", "Did you mean 'window'?")],
    ),
    "unknown parameter where there are none": (
        f"{HEAD}steps:\n  a:\n    parameters:\n      w: '{{{{ params.window }}}}'\n",
        [(5, "params.window", "parameters: {window: DEFAULT}")],
    ),
    "a parameter with nothing": (
        f"{HEAD}parameters:\n  window:\n{STEPS}",
        [(3, "neither a default nor a type", "{type: string}")],
    ),
    "a parameter's unknown type": (
        f"{HEAD}parameters:\n  window: {{type: integer}}\n{STEPS}",
        [(3, "unknown type 'integer'", "Did you mean 'int'?")],
    ),
    "a default that is not of its type": (
        f"{HEAD}parameters:\n  window:\n    type: int\n    default: many\n{STEPS}",
        [(5, "'many', which is no int", "one of its type")],
    ),
    "a parameter that is a list": (f"{HEAD}parameters:\n  window: [1]\n{STEPS}", [(3, "must be one value", "Write")]),
    "a value that is a list": (
        f"{HEAD}steps:\n  a:\n    parameters:\n      w: [1]\n",
        [(5, "w must be one value", "Write a text")],
    ),
    "a value that is nothing": (
        f"{HEAD}steps:\n  a:\n    parameters:\n      w:\n",
        [(5, "w has no value", "empty text")],
    ),
    "a model of a sweep without choose": (
        f"{HEAD}steps:\n  a: {{sweep: {{x: [1, 2]}}}}\n  b:\n    parameters: {{m: '{{{{ steps.a.model }}}}'}}\n",
        [(5, "the model of step 'a', a sweep", "choose: {metric: NAME, mode: max}")],
    ),
    "a run of a sweep without choose": (
        f"{HEAD}steps:\n  a: {{sweep: {{x: [1, 2]}}}}\n  b:\n    parameters: {{m: '{{{{ steps.a.run_id }}}}'}}\n",
        [(5, "the run of step 'a', a sweep", "choose")],
    ),
    "a candidate from a sweep without choose": (
        f"{HEAD}steps:\n  train: {{sweep: {{x: [1, 2]}}}}\n{PROMOTE}",
        [(6, "The promotion refers to the model of step 'train', a sweep", "choose")],
    ),
    "choose without sweep": (f"{HEAD}steps:\n  a:\n    choose: {{metric: f1}}\n", [(4, "has none", "Add sweep")]),
    "choose without metric": (
        f"{HEAD}steps:\n  a:\n    sweep: {{x: [1]}}\n    choose: {{mode: max}}\n",
        [(5, "names no metric", "metric: NAME")],
    ),
    "choose with an unknown mode": (
        f"{HEAD}steps:\n  a:\n    sweep: {{x: [1]}}\n    choose: {{metric: f1, mode: best}}\n",
        [(5, "'best' is no mode", "max")],
    ),
    "sweep over one value": (
        f"{HEAD}steps:\n  a:\n    sweep:\n      x: 1\n",
        [(5, "'x' of a sweep is a list", "x: [")],
    ),
    "sweep over nothing": (f"{HEAD}steps:\n  a:\n    sweep: {{x: []}}\n", [(4, "nothing to try", "list of values")]),
    "empty sweep": (f"{HEAD}steps:\n  a:\n    sweep: {{}}\n", [(4, "nothing to try", "list of values")]),
    "sweep over a value twice": (f"{HEAD}steps:\n  a:\n    sweep: {{x: [1, 1]}}\n", [(4, "a value twice", "once")]),
    "sweep over a parameter": (
        f"{HEAD}steps:\n  a:\n    parameters: {{x: 1}}\n    sweep:\n      x: [1, 2]\n",
        [(6, "parameters and in sweep", "Keep one")],
    ),
    "an endless sweep": (
        f"{HEAD}steps:\n  a:\n    sweep: {{x: {list(range(40))}, y: {list(range(40))}}}\n",
        [(4, "1600 combinations", "fewer")],
    ),
    "unknown environment": (f"{HEAD}env: conde\n{STEPS}", [(2, "no environment 'conde'", "Did you mean 'conda'?")]),
    "unknown environment of a step": (
        f"{HEAD}steps:\n  a:\n    env: dockr\n",
        [(4, "no environment 'dockr'", "Did you mean 'docker'?")],
    ),
    "a timeout in words": (f"{HEAD}steps:\n  a:\n    timeout: 5 minutes\n", [(4, "'5 minutes'", "30m")]),
    "a timeout of nothing": (f"{HEAD}steps:\n  a:\n    timeout: 0\n", [(4, "timeout of step 'a'", "seconds")]),
    "negative retries": (f"{HEAD}steps:\n  a:\n    retries: -1\n", [(4, "negative", "0 or more")]),
    "half a retry": (f"{HEAD}steps:\n  a:\n    retries: 0.5\n", [(4, "whole number", "retries: 2")]),
    "a bad schedule": (f"{HEAD}schedule: '0 25 * * 1'\n{STEPS}", [(2, "hour '25'", "0 to 23")]),
    "a schedule of two fields": (
        f"{HEAD}schedule: daily now\n{STEPS}",
        [(2, "does not have 5 fields", "minute, hour")],
    ),
    "a schedule that is a number": (f"{HEAD}schedule: 5\n{STEPS}", [(2, "cron expression or keys", "0 3 * * 1")]),
    "an empty schedule": (f"{HEAD}schedule: {{}}\n{STEPS}", [(2, "empty", "cron")]),
    "a promotion without": (
        f"{HEAD}{STEPS}promote: {{model: m, to: '@champion'}}\n",
        [(5, "no candidate", "candidate:"), (5, "no gate", "gate:")],
    ),
    "a promotion that is a word": (f"{HEAD}{STEPS}promote: champion\n", [(5, "promote must be keys", "key: value")]),
    "an unknown candidate": (
        f"{HEAD}{STEPS}{PROMOTE}".replace("steps.train.model", "steps.trian.model"),
        [(7, "The promotion refers to 'trian'", "Did you mean 'train'?")],
    ),
    "a candidate that is no model": (
        f"{HEAD}{STEPS}{PROMOTE}".replace("steps.train.model", "steps.train.run_id"),
        [(7, "no reference to a step's model", "steps.NAME.model")],
    ),
    "a bad model name": (
        f"{HEAD}{STEPS}{PROMOTE}".replace("model: m", "model: team/m"),
        [(6, "'team/m' can't name a registered model", "Leave '/' and ':' out")],
    ),
    "no target": (f"{HEAD}{STEPS}{PROMOTE}".replace("@champion", "@"), [(8, "not an alias", "letters")]),
    "a target that is neither alias nor stage": (
        f"{HEAD}{STEPS}{PROMOTE}".replace("@champion", "Production"),
        [(8, "'Production' is not the target of a promotion", "stage:Production")],
    ),
    "unknown needs of a promotion": (
        f"{HEAD}{STEPS}{PROMOTE}  needs: [trane]\n",
        [(10, "The promotion needs 'trane'", "Did you mean 'train'?")],
    ),
    "unknown evaluate": (
        f"{HEAD}{STEPS}{PROMOTE}  evaluate: evaluate\n",
        [(10, "evaluates with 'evaluate', which is not a step", "Known: prepare, train")],
    ),
    "evaluate without the candidate": (
        f"{HEAD}{STEPS}{PROMOTE}  evaluate: prepare\n",
        [(10, "does not take the candidate's model", "steps.train.model")],
    ),
    "on_reject in other words": (
        f"{HEAD}{STEPS}{PROMOTE}  on_reject: ignore\n",
        [(10, "on_reject can't be 'ignore'", "fail, skip or succeed")],
    ),
    "on_reject as YAML's own": (f"{HEAD}{STEPS}{PROMOTE}  on_reject: [skip]\n", [(10, "on_reject", "")]),
    "allow_older in words": (f"{HEAD}{STEPS}{PROMOTE}  allow_older: never\n", [(10, "true or false", "allow_older")]),
    "a mistake in the gate": (
        f"{HEAD}{STEPS}{PROMOTE}".replace(
            "gate.yaml", "\n    name: g\n    checks:\n      all_of:\n        - {metric: f1, atleast: 1}"
        ),
        [(13, "atleast", "at_least")],
    ),
    "choices in a word": (
        f"{HEAD}parameters:\n  region: {{choices: eu}}\n{STEPS}",
        [(3, "are a list of values", "choices: [VALUE, …]")],
    ),
    "a default that is none of the choices": (
        f"{HEAD}parameters:\n  depth:\n    default: 3\n    choices: [1, 2]\n{STEPS}",
        [(5, "is '3', which is none of 1, 2", "one of its choices")],
    ),
    "not YAML": (f"{HEAD}steps: [\n", [(3, "not YAML", "indentation")]),
    "a list": ("- a\n", [(1, "holds keys and values", "name: NAME")]),
    "nothing": ("# later\n", [(None, "empty", "name and steps")]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_told_with_its_line_and_remedy(mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    with pytest.raises(InvalidPipeline) as caught:
        parse_pipeline(text, file="folder/pipeline.yaml")
    error = caught.value
    assert [found.line for found in error.mistakes] == [line for line, _, _ in expected]
    for found, (line, what, remedy) in zip(error.mistakes, expected, strict=True):
        assert what in found.what
        assert remedy in found.remedy
        assert f"folder/pipeline.yaml{'' if line is None else f':{line}'}: " in str(error)
    assert (error.file, error.line) == ("folder/pipeline.yaml", expected[0][0])
    assert pickle.loads(pickle.dumps(error)).mistakes == error.mistakes


def test_mistakes_of_one_file_are_told_together_in_order() -> None:
    text = f"nam: x\n{HEAD}{STEPS}  report:\n    needs: [prepair]\n    timeout: soon\nschedule: 'daily'\n"
    with pytest.raises(InvalidPipeline) as caught:
        parse_pipeline(text, file="p.yaml")
    assert str(caught.value).splitlines() == [
        "p.yaml has 4 mistakes:",
        "  p.yaml:1: A pipeline has no key 'nam'. Did you mean 'name'?",
        "  p.yaml:7: Step 'report' needs 'prepair', which is not a step. Did you mean 'prepare'?",
        "  p.yaml:8: timeout can't be 'soon'. Write seconds, or a number with a unit: 90s, 30m or 2h.",
        "  p.yaml:9: The cron expression 'daily' does not have 5 fields. Did you mean '@daily'?",
    ]


def test_a_pipeline_file_is_found_by_its_folder(tmp_path: Path) -> None:
    assert find_pipeline(tmp_path) is None
    (tmp_path / "pipeline.yml").write_text(f"{HEAD}{STEPS}")
    assert find_pipeline(tmp_path) == tmp_path / "pipeline.yml"
    (tmp_path / "pipeline.yaml").write_text(f"{HEAD}{STEPS}")
    assert find_pipeline(tmp_path) == tmp_path / "pipeline.yaml"
    assert find_pipeline(tmp_path / "other.yaml") == tmp_path / "other.yaml"
    assert find_pipeline(tmp_path / "train.py") is None


def test_reading_a_pipeline_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(f"{HEAD}{STEPS}{PROMOTE}")
    code = f"""
import sys
from headgate.flows import read_pipeline
read_pipeline({str(tmp_path)!r})
print(sorted({{"sqlalchemy", "sqlmodel", "pydantic", "requests", "rich", "subprocess"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_file_that_is_not_there_or_not_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match="has no pipeline file"):
        read_pipeline(tmp_path)
    with pytest.raises(InvalidPipeline, match="can't be read: No such file"):
        read_pipeline(tmp_path / "pipeline.yaml")
    (tmp_path / "pipeline.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(InvalidPipeline, match="not UTF-8"):
        read_pipeline(tmp_path)
