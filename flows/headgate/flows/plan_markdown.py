"""A plan as Markdown, for the page that an orchestrator shows of a pipeline. Pure.

It names no folder of the machine it was made on, so that it is the same wherever it is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from headgate.flows.model import is_remote
from headgate.flows.planned import Plan, PlannedPromotion, PlannedStep


def plan_markdown(plan: Plan) -> str:
    """Return the plan as Markdown: what the pipeline is for, its steps in the order they run, and the promotion."""
    pipeline = plan.pipeline
    lines = [f"# {pipeline.name}", ""]
    lines += [pipeline.description, ""] if pipeline.description else []
    lines += [*_facts(_head(plan)), ""]
    header = ("step", "runs", "waits for", "environment", "parameters")
    lines += ["## Steps", "", *_table(header, [_step_row(plan, step) for step in plan.steps]), ""]
    if plan.promotion is not None:
        lines += [f"## Promotion of {plan.promotion.model} to {plan.promotion.to}", ""]
        lines += [*_promotion(plan.promotion, everything=len(plan.promotion.needs) == len(plan.steps)), ""]
    return "\n".join(lines)


def step_markdown(plan: Plan, name: str) -> str:
    """Return what a plan says of one step as Markdown."""
    step = plan.step(name)
    facts = {
        "Runs": f"{_code(step.entry_point)} of {_code(_place(plan, step))}",
        "Environment": str(step.environment),
        "Timeout": f"{step.timeout:g} s" if step.timeout else "",
    }
    values = [(_code(name), _code(value), "") for name, value in step.parameters.items()]
    values += [(_code(name), _code(value), "default") for name, value in step.defaults.items()]
    lines = [*_facts(facts)]
    lines += ["", *_table(("parameter", "value", ""), values)] if values else []
    if step.members:
        keys = list(step.members[0])
        rows = [(str(index), *(_code(member[key]) for key in keys)) for index, member in enumerate(step.members)]
        lines += ["", *_table(("map index", *keys), rows)]
    if step.choose is not None:
        lines += ["", f"The run with the {'highest' if step.choose.mode == 'max' else 'lowest'} "]
        lines[-1] += f"{_code(step.choose.metric)} goes on."
    return "\n".join(lines)


def _head(plan: Plan) -> dict[str, str]:
    return {
        "Experiment": _code(plan.experiment),
        "Schedule": str(plan.pipeline.schedule or ""),
        "Parameters": ", ".join(_code(f"{name}={value}") for name, value in plan.parameters.items()),
    }


def _step_row(plan: Plan, step: PlannedStep) -> tuple[str, ...]:
    runs = f"{_code(step.entry_point)} of {_code(_place(plan, step))}"
    if step.members:
        runs += f", {len(step.members)} times"
    if step.choose is not None:
        runs += f"; the {'highest' if step.choose.mode == 'max' else 'lowest'} {_code(step.choose.metric)} goes on"
    values = [_code(f"{name}={value}") for name, value in step.parameters.items()]
    return (step.name, runs, ", ".join(step.needs), str(step.environment), ", ".join(values))


def _place(plan: Plan, step: PlannedStep) -> str:
    """Return a step's project without the machine's folders."""
    place = step.project
    if not is_remote(place):
        folder, _, inside = place.partition("#")
        place = os.path.relpath(folder, plan.pipeline.path(".")) + (f"#{inside}" if inside else "")
        place = "this folder" if place == "." else Path(place).as_posix()
    return place + (f" at {step.version}" if step.version else "")


def _promotion(promotion: PlannedPromotion, *, everything: bool) -> Iterator[str]:
    facts = {
        "Candidate": _code(promotion.candidate),
        "After": "all steps" if everything else ", ".join(promotion.needs),
        "Gate": promotion.gate.name,
        "Measured by": f"{promotion.evaluate}, for a champion that lacks figures on the same data"
        if promotion.evaluate
        else "",
        "Older data": "may displace a newer champion" if promotion.allow_older else "",
        "Watched by": f"{promotion.watch.name} for {promotion.watch.window}" if promotion.watch else "",
        "After a no": promotion.after_no,
    }
    yield from _facts(facts)
    yield ""
    yield from (f"* {_code(rule)}" for rule in promotion.rules)


def _facts(facts: dict[str, str]) -> list[str]:
    return [f"* **{name}**: {value}" for name, value in facts.items() if value]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(header)
    yield _row(["---"] * len(header))
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _code(text: str) -> str:
    """Return text as code; more backticks around it than it has inside."""
    fence = "`"
    while fence in text:
        fence += "`"
    padding = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{padding}{text}{padding}{fence}"
