"""A plan as Markdown: for the page of an orchestrator, and the same wherever it is made."""

from __future__ import annotations

import shutil
from pathlib import Path

from headgate.flows import outline
from headgate.flows.plan_markdown import plan_markdown, step_markdown
from tests.flows.conftest import WriteFiles

FILES = {
    "project/MLproject": """\
        name: screening
        entry_points:
          train: {parameters: {data: string, depth: int, seed: {default: 3}}, command: "echo {data} {depth} {seed}"}
        """,
    "gate.yaml": "name: recall\nchecks: {all_of: [{metric: recall, at_least: 0.9}]}\n",
    "pipeline.yaml": """\
        name: tumor-screening
        description: Weekly retraining.
        schedule: "@weekly"
        project: project
        parameters: {db_password: swordfish, shape: "a|b"}
        steps:
          train:
            entry_point: train
            parameters: {data: "{{ params.shape }}`{{ params.db_password }}"}
            sweep: {depth: [2, 4]}
            choose: {metric: f1}
            timeout: 90s
          report: {entry_point: train, parameters: {data: "{{ steps.train.run_id }}", depth: 1}}
          elsewhere: {project: "https://example.invalid/it.git#inside", version: v1, entry_point: main}
        promote:
          {model: m, candidate: "{{ steps.train.model }}", to: "@champion", gate: gate.yaml, allow_older: true,
           on_reject: skip}
        """,
}
WHOLE = """\
# tumor-screening

Weekly retraining.

* **Experiment**: `tumor-screening`
* **Schedule**: cron @weekly
* **Parameters**: `db_password=***`, `shape=a|b`

## Steps

| step | runs | waits for | environment | parameters |
| --- | --- | --- | --- | --- |
| train | `train` of `project`, 2 times; the highest `f1` goes on |  | local | `data=***` |
| elsewhere | `main` of `https://example.invalid/it.git#inside at v1` |  | as the project declares |  |
| report | `train` of `project` | train | local | `data={{ steps.train.run_id }}`, `depth=1` |

## Promotion of m to @champion

* **Candidate**: `{{ steps.train.model }}`
* **After**: all steps
* **Gate**: recall
* **Older data**: may displace a newer champion
* **After a no**: the rest is skipped

* `recall >= 0.9`
"""
STEP = """\
* **Runs**: `train` of `project`
* **Environment**: local
* **Timeout**: 90 s

| parameter | value |  |
| --- | --- | --- |
| `data` | `***` |  |
| `seed` | `3` | default |

| map index | depth |
| --- | --- |
| 0 | `2` |
| 1 | `4` |

The run with the highest `f1` goes on."""


def test_a_plan_is_told_without_the_machine_and_its_secrets(write_files: WriteFiles, tmp_path: Path) -> None:
    folder = write_files(FILES)
    plan = outline(folder)
    assert plan_markdown(plan) == WHOLE
    assert step_markdown(plan, "train") == STEP
    elsewhere = Path(shutil.copytree(folder, tmp_path / "other" / "place"))
    assert plan_markdown(outline(elsewhere)) == plan_markdown(plan)


def test_what_would_break_a_table_or_code_is_kept_whole(write_files: WriteFiles) -> None:
    pipeline = "name: p\nsteps: {a: {entry_point: a.sh, parameters: {x: 'a|b`c', y: \"two\\nlines\"}}}\n"
    text = plan_markdown(outline(write_files({"pipeline.yaml": pipeline, "a.sh": "true\n"})))
    assert "| ``x=a\\|b`c``, `y=two lines` |" in text
