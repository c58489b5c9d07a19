"""What the tests of running pipelines share."""

from __future__ import annotations

from headgate.flows.results import PipelineResult

FLAKY = {
    "flaky.sh": "echo try >> tries\n[ $(wc -l < tries) -ge 3 ]\n",
    "ok.sh": "exit 0\n",
}


def statuses(result: PipelineResult) -> dict[str, str]:
    return {name: step.status.value for name, step in result.steps.items()}
