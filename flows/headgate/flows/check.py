"""What is wrong with a pipeline, seen without its projects: names, references, cycles, sweeps, schedule. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from headgate.flows.graph import cycles, edges
from headgate.flows.mistakes import Mistake, did_you_mean, invalid_pipeline
from headgate.flows.model import (
    ENVIRONMENTS,
    MODES,
    PARAMETER_TYPES,
    OnReject,
    Pipeline,
    PipelineParameter,
    PromotionBlock,
    Step,
)
from headgate.flows.parameters import choice_problem, type_problem
from headgate.flows.references import NAME, ModelReference, ParameterReference, StepReference
from headgate.flows.schedule import schedule_mistakes
from headgate.store.errors import InvalidInput
from headgate.store.targets import parse_target
from headgate.tasks.places import Place

_MOST_MEMBERS = 1000
Found = tuple[Place, str, str]
"""Place in the pipeline, what is wrong, remedy."""


def check_pipeline(pipeline: Pipeline) -> None:
    """Refuse a pipeline that can't work.

    Raises:
        InvalidPipeline: tells every mistake found, with file and line when the pipeline was read from a file;
            ``mistakes`` holds them.
    """
    mistakes = pipeline_mistakes(pipeline)
    if mistakes:
        raise invalid_pipeline(mistakes, pipeline.label)


def pipeline_mistakes(pipeline: Pipeline, *, spoken_for: Collection[Place] = ()) -> list[Mistake]:
    """Return everything that is wrong with ``pipeline`` itself.

    Args:
        spoken_for: places of which something is wrong already: what is wrong there or below follows from it.
    """
    found = [
        *_head_mistakes(pipeline),
        *_step_name_mistakes(pipeline),
        *(mistake for step in pipeline.steps for mistake in _step_mistakes(pipeline, step)),
        *_cycle_mistakes(pipeline),
        *(_promotion_mistakes(pipeline, pipeline.promote) if pipeline.promote else ()),
    ]
    return [
        mistake_at(pipeline, place, what, remedy)
        for place, what, remedy in found
        if not any(place[:length] in spoken_for for length in range(1, len(place) + 1))
    ]


def mistake_at(pipeline: Pipeline, place: Place, what: str, remedy: str) -> Mistake:
    """Return a mistake that knows the file and line of ``place``, when the pipeline has them."""
    if pipeline.source is None:
        return Mistake(what, remedy)
    return Mistake(what, remedy, pipeline.source.file, pipeline.source.line(place))


def _head_mistakes(pipeline: Pipeline) -> Iterator[Found]:
    if not pipeline.name.strip() or len(pipeline.name) > 250:
        yield ("name",), "The pipeline has no usable name.", "Give it a name of 1 to 250 characters."
    if not pipeline.steps:
        yield ("steps",), "The pipeline has no steps.", "Add a step, such as train: {entry_point: train}."
    yield from _environment_mistakes(pipeline.env, ("env",))
    if pipeline.schedule is not None:
        for what, remedy in schedule_mistakes(pipeline.schedule):
            yield ("schedule",), what, remedy
    for name, parameter in pipeline.parameters.items():
        place = ("parameters", name)
        if not NAME.fullmatch(name):
            yield place, f"{name!r} can't name a parameter.", "Use letters, digits, '_' and '-'."
        if parameter.type not in PARAMETER_TYPES:
            yield (
                (*place, "type"),
                f"The parameter {name!r} has the unknown type {parameter.type!r}.",
                did_you_mean(parameter.type, PARAMETER_TYPES),
            )
        if parameter.default is not None and (problem := type_problem(parameter, parameter.default)):
            yield (*place, "default"), f"The default of the parameter {name!r} {problem}.", "Give one of its type."
        yield from _choices_mistakes(parameter, (*place, "choices"))


def _choices_mistakes(parameter: PipelineParameter, place: Place) -> Iterator[Found]:
    problems = [problem for choice in parameter.choices if (problem := type_problem(parameter, choice))]
    for problem in problems:
        yield place, f"A choice of the parameter {parameter.name!r} {problem}.", "Give choices of its type."
    default = parameter.default
    if problems or default is None or type_problem(parameter, default):
        return
    if problem := choice_problem(parameter, default):
        yield place, f"The default of the parameter {parameter.name!r} {problem}.", "Make it one of its choices."


def _environment_mistakes(env: str | None, place: Place) -> Iterator[Found]:
    if env is not None and env not in ENVIRONMENTS:
        yield place, f"There is no environment {env!r}.", did_you_mean(env, ENVIRONMENTS)


def _step_name_mistakes(pipeline: Pipeline) -> Iterator[Found]:
    seen: set[str] = set()
    for step in pipeline.steps:
        place = ("steps", step.name)
        if not NAME.fullmatch(step.name) or len(step.name) > 200:
            yield (
                place,
                f"{step.name!r} can't name a step.",
                "Start with a letter; go on with letters, digits, '_' and '-'.",
            )
        if step.name in seen:
            yield place, f"Two steps are called {step.name!r}.", "Rename one of them."
        seen.add(step.name)


def _step_mistakes(pipeline: Pipeline, step: Step) -> Iterator[Found]:
    place = ("steps", step.name)
    names = [other.name for other in pipeline.steps]
    for needed in step.needs:
        if needed not in names:
            yield (
                (*place, "needs"),
                f"Step {step.name!r} needs {needed!r}, which is not a step.",
                did_you_mean(needed, [name for name in names if name != step.name]),
            )
    for key, template in step.values:
        for reference in template.references:
            if isinstance(reference, ParameterReference):
                yield from _parameter_reference_mistakes(pipeline, reference, (*place, *key))
        for step_reference in template.step_references:
            user = f"Step {step.name!r}"
            yield from _step_reference_mistakes(pipeline, step_reference, (*place, *key), user)
    yield from _sweep_mistakes(step, place)
    yield from _environment_mistakes(step.env, (*place, "env"))
    if not step.entry_point.strip():
        yield (*place, "entry_point"), f"Step {step.name!r} has an empty entry point.", "Name one of the project's."
    if step.timeout is not None and not 0 < step.timeout < float("inf"):
        yield (*place, "timeout"), f"The timeout of step {step.name!r} is not positive.", "Give seconds, or 30m or 2h."
    if step.retries < 0:
        yield (*place, "retries"), f"The retries of step {step.name!r} are negative.", "Give 0 or more."


def _parameter_reference_mistakes(pipeline: Pipeline, reference: ParameterReference, place: Place) -> Iterator[Found]:
    if reference.key not in pipeline.parameters:
        remedy = (
            did_you_mean(reference.key, pipeline.parameters)
            if pipeline.parameters
            else f"Declare it: parameters: {{{reference.key}: DEFAULT}}."
        )
        yield place, f"{reference} refers to a parameter that the pipeline does not have.", remedy


def _step_reference_mistakes(pipeline: Pipeline, reference: StepReference, place: Place, user: str) -> Iterator[Found]:
    step = next((step for step in pipeline.steps if step.name == reference.step), None)
    if step is None:
        names = [step.name for step in pipeline.steps]
        yield (
            place,
            f"{user} refers to {reference.step!r}, which is not a step.",
            did_you_mean(reference.step, names),
        )
    elif step.sweep is not None and step.choose is None:
        field = "model" if isinstance(reference, ModelReference) else "run"
        yield (
            place,
            f"{user} refers to the {field} of step {step.name!r}, a sweep of several runs of which none is chosen.",
            f"Add choose: {{metric: NAME, mode: max}} to step {step.name!r}.",
        )


def _sweep_mistakes(step: Step, place: Place) -> Iterator[Found]:
    if step.choose is not None:
        if step.sweep is None:
            yield (
                (*place, "choose"),
                f"Step {step.name!r} chooses the best of a sweep but has none.",
                "Add sweep: {PARAMETER: [VALUE, …]}, or remove choose.",
            )
        if step.choose.mode not in MODES:
            yield (
                (*place, "choose", "mode"),
                f"{step.choose.mode!r} is no mode of choosing.",
                "Write mode: max where more is better, mode: min where less is.",
            )
        if not step.choose.metric.strip():
            yield (*place, "choose", "metric"), "choose names no metric.", "Name the metric that the best run leads."
    if step.sweep is None:
        return
    count = 1
    for key, tried in step.sweep.values.items():
        count *= len(tried)
        if key in step.parameters:
            yield (
                (*place, "sweep", key),
                f"{key!r} of step {step.name!r} stands in parameters and in sweep.",
                "Keep one of the two.",
            )
        if len(set(tried)) < len(tried):
            yield (*place, "sweep", key), f"The sweep over {key!r} has a value twice.", "Name each value once."
    if count == 0 or not step.sweep.values:
        yield (
            (*place, "sweep"),
            f"The sweep of step {step.name!r} has nothing to try.",
            "Give each key a list of values.",
        )
    if count > _MOST_MEMBERS:
        yield (
            (*place, "sweep"),
            f"The sweep of step {step.name!r} has {count} combinations; {_MOST_MEMBERS} is the most.",
            "Try fewer values at once.",
        )


def _cycle_mistakes(pipeline: Pipeline) -> Iterator[Found]:
    if len({step.name for step in pipeline.steps}) < len(pipeline.steps):
        return  # reported already, and edges between namesakes mean nothing
    for cycle in cycles(edges(pipeline)):
        if len(cycle) == 2:
            yield ("steps", cycle[0]), f"Step {cycle[0]!r} waits for itself.", "Refer to a step before it."
            continue
        yield (
            ("steps", cycle[0]),
            f"The steps wait for each other in a cycle: {' → '.join(cycle)}.",
            "Remove one of these references or needs.",
        )


def _promotion_mistakes(pipeline: Pipeline, block: PromotionBlock) -> Iterator[Found]:
    names = [step.name for step in pipeline.steps]
    if not block.model.strip() or set(block.model) & set("/:") or block.model in (".", ".."):
        yield ("promote", "model"), f"{block.model!r} can't name a registered model.", "Leave '/' and ':' out of it."
    if block.candidate_step is None:
        yield (
            ("promote", "candidate"),
            f"The candidate {str(block.candidate)!r} is no reference to a step's model.",
            'Write candidate: "{{ steps.NAME.model }}".',
        )
    for reference in block.candidate.step_references:
        yield from _step_reference_mistakes(pipeline, reference, ("promote", "candidate"), "The promotion")
    for needed in block.needs or ():
        if needed not in names:
            yield (
                ("promote", "needs"),
                f"The promotion needs {needed!r}, which is not a step.",
                did_you_mean(needed, names),
            )
    try:
        parse_target(block.to)
    except InvalidInput as error:
        yield ("promote", "to"), error.message, error.remedy
    if block.on_reject not in list(OnReject):
        remedy = f"Write on_reject: {', '.join(OnReject)}.".replace(", succeed", " or succeed")
        yield ("promote", "on_reject"), f"on_reject can't be {block.on_reject!r}.", remedy
    if block.evaluate is not None:
        yield from _evaluate_mistakes(pipeline, block, block.evaluate)


def _evaluate_mistakes(pipeline: Pipeline, block: PromotionBlock, name: str) -> Iterator[Found]:
    place = ("promote", "evaluate")
    names = [step.name for step in pipeline.steps]
    if name not in names:
        yield place, f"The promotion evaluates with {name!r}, which is not a step.", did_you_mean(name, names)
        return
    step = pipeline.step(name)
    taken = [reference for reference in step.step_references if isinstance(reference, ModelReference)]
    if not any(reference.step == block.candidate_step for reference in taken):
        yield (
            place,
            f"Step {name!r} does not take the candidate's model, so it can't measure the champion in its place.",
            f'Give it a parameter such as model: "{block.candidate}".',
        )
    if step.sweep is not None:
        yield place, f"Step {name!r} is a sweep, which measures nothing once.", "Evaluate in a step without a sweep."
