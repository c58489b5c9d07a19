"""A plan as a tree of text, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headgate.flows.planned import Plan, PlannedPromotion, PlannedStep

_Block = list[str]


def plan_text(plan: Plan) -> str:
    """Return the plan as a tree: the pipeline, its steps in the order they run, and the promotion."""
    blocks = [_step_block(step) for step in plan.steps]
    if plan.promotion is not None:
        blocks.append(_promotion_block(plan.promotion, plan))
    lines = [*_head(plan), *_tree(blocks), *(f"note: {note}" for note in plan.notes)]
    return "\n".join(lines)


def _head(plan: Plan) -> Iterator[str]:
    pipeline = plan.pipeline
    file = f" ({pipeline.source.file})" if pipeline.source else ""
    yield f"{pipeline.name}{file}"
    facts = {
        "experiment": plan.experiment,
        "schedule": str(pipeline.schedule) if pipeline.schedule else "",
        "parameters": ", ".join(f"{name}={value}" for name, value in plan.parameters.items()),
        "runs": str(plan.runs),
    }
    yield from _facts({name: [value] for name, value in facts.items() if value}, indent="")


def _step_block(step: PlannedStep) -> _Block:
    waits = f" ← {', '.join(step.needs)}" if step.needs else ""
    version = step.version or step.commit
    commit = f" ({step.commit[:10]})" if step.commit and step.version else ""
    place = step.project + (f" at {version}{commit}" if version else "")
    sweep = [", ".join(f"{key}={value}" for key, value in member.items()) for member in step.members]
    facts = {
        "runs": [f"{step.entry_point} of {place}"],
        "environment": [str(step.environment)],
        "parameters": [
            *(f"{name} = {value}" for name, value in step.parameters.items()),
            *(f"{name} = {value} (default)" for name, value in step.defaults.items()),
        ],
        "sweep": sweep,
        "choose": [f"the {'highest' if step.choose.mode == 'max' else 'lowest'} {step.choose.metric}"]
        if step.choose
        else [],
        "timeout": [f"{step.timeout:g} s"] if step.timeout else [],
        "retries": [str(step.retries)] if step.retries else [],
    }
    return [f"{step.generation + 1}. {step.name}{waits}", *_facts(facts, indent="   ")]


def _promotion_block(promotion: PlannedPromotion, plan: Plan) -> _Block:
    everything = len(promotion.needs) == len(plan.steps)
    gate = promotion.gate
    facts = {
        "candidate": [promotion.candidate],
        "after": ["all steps" if everything else ", ".join(promotion.needs)],
        "gate": [gate.name, *promotion.rules],
        "no champion": [str(gate.when_no_champion)] if gate.compares and gate.when_no_champion else [],
        "evaluate": [f"{promotion.evaluate}, for a champion that was not measured on the same data"]
        if promotion.evaluate
        else [],
        "older data": ["may displace a newer champion"] if promotion.allow_older else [],
        "watch": [f"{promotion.watch.name} for {promotion.watch.window}", *(c.rule for c in promotion.watch.checks)]
        if promotion.watch
        else [],
        "after a no": [promotion.after_no] if promotion.after_no else [],
    }
    return [f"promote {promotion.model} to {promotion.to}", *_facts(facts, indent="   ")]


def _facts(facts: dict[str, list[str]], indent: str) -> Iterator[str]:
    shown = {name: values for name, values in facts.items() if values}
    width = max((len(name) for name in shown), default=0)
    for name, values in shown.items():
        yield f"{indent}{name:<{width}}  {values[0]}"
        for value in values[1:]:
            yield f"{indent}{'':<{width}}  {value}"


def _tree(blocks: Sequence[_Block]) -> Iterator[str]:
    for index, (first, *rest) in enumerate(blocks):
        last = index == len(blocks) - 1
        yield f"{'└─' if last else '├─'} {first}"
        for line in rest:
            yield f"{'  ' if last else '│ '} {line}"
