"""``plan``: what a run of a pipeline would do, found out without doing any of it.

Nothing is recorded and nothing is run. Project files and gate files are read; a project in a git repository is fetched
into the cache, as its run would do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.flows.check import pipeline_mistakes
from headgate.flows.file import draft_pipeline
from headgate.flows.graph import edges, generations, promotion_needs
from headgate.flows.mistakes import Mistake, did_you_mean, invalid_pipeline
from headgate.flows.model import ENVIRONMENTS, Pipeline, PromotionBlock, Step
from headgate.flows.parameters import try_parameters
from headgate.flows.planned import Plan, PlannedEnvironment, PlannedPromotion, PlannedStep
from headgate.flows.project_check import FoundEntryPoint, MistakeList, ProjectReader, check_values, undeclared
from headgate.flows.values import KnownValues
from headgate.store.errors import InvalidGate
from headgate.tasks.gates.file import load_gate
from headgate.tasks.gates.model import Gate
from headgate.tasks.projects.model import EntryPoint
from headgate.tasks.projects.secrets import mask_text, recorded_value
from headgate.tasks.watch.file import load_watch
from headgate.tasks.watch.kept import watch_text
from headgate.tasks.watch.model import Watch


def plan(
    pipeline: Pipeline | str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    logical_date: int | None = None,
    env: str | None = None,
    experiment: str | None = None,
    home: Path | None = None,
) -> Plan:
    """Say what a run of a pipeline would do, and refuse a pipeline that can't work.

    Args:
        pipeline: a pipeline, a pipeline file, or the folder of one. For a file, mistakes in it and in what it refers to
            are told together.
        parameters: values for the pipeline's parameters.
        logical_date: what the run stands for, epoch ms; None leaves references to it as they are.
        env: environment of every step, over what the pipeline says.
        experiment: experiment of the runs, over what the pipeline says.
        home: Headgate's folder, where projects from git and environments are cached; None takes ``HEADGATE_HOME``.

    Raises:
        InvalidPipeline: everything that is wrong with the pipeline, its parameters, the entry points it names, the
            values it gives them, and its gate; each with file, line and remedy, and all as ``mistakes``.
        ProjectUnavailable: a git server did not answer; a retry may help.
        EnvironmentUnavailable: git is needed and not installed.
    """
    mistakes = read_for_planning(pipeline)
    reader = ProjectReader(mistakes.pipeline, home or _home(), env, mistakes)
    return planned(mistakes, reader, parameters or {}, logical_date=logical_date, env=env, experiment=experiment)


def planned(
    mistakes: MistakeList,
    reader: ProjectReader,
    parameters: Mapping[str, Any],
    *,
    logical_date: int | None = None,
    env: str | None = None,
    experiment: str | None = None,
    may_be_missing: bool = False,
    paths_from_pipeline: bool = False,
    look_for_files: bool = True,
) -> Plan:
    """Make a plan of what could be read.

    Args:
        mistakes: a pipeline, and what is wrong with it already.
        reader: finds the steps' entry points; a step that it does not look at is planned from the pipeline alone.
        may_be_missing: the run is not at hand yet: parameters without a default need not be given.
        paths_from_pipeline: as :func:`headgate.flows.parameters.resolve_parameters` takes it.
        look_for_files: see that files which values name are there; another machine may have them.

    Raises:
        InvalidPipeline: as :func:`plan`.
    """
    pipeline = mistakes.pipeline
    values, wrong = try_parameters(
        pipeline, parameters, may_be_missing=may_be_missing, paths_from_pipeline=paths_from_pipeline
    )
    mistakes.found += wrong
    if env is not None and env not in ENVIRONMENTS:
        mistakes.found.append(Mistake(f"There is no environment {env!r}.", did_you_mean(env, ENVIRONMENTS)))
    known = KnownValues(values, logical_date)
    found = {step.name: reader.find(step) for step in pipeline.steps}
    upstream = edges(pipeline)
    for step in pipeline.steps:
        if (entry := found[step.name]) is not None:
            comes_first = look_for_files and not upstream[step.name]
            check_values(step, entry, known, mistakes, comes_first=comes_first)
    promotion = _promotion(pipeline, pipeline.promote, mistakes) if pipeline.promote else None
    if mistakes.found:
        raise invalid_pipeline(mistakes.found, pipeline.label)
    return Plan(
        pipeline=pipeline,
        experiment=experiment or pipeline.experiment_name,
        parameters={name: value.shown for name, value in values.items()},
        steps=tuple(_steps(pipeline, found, known)),
        promotion=promotion,
        notes=tuple(dict.fromkeys(_notes(pipeline, found))),
    )


def read_for_planning(pipeline: Pipeline | str | Path) -> MistakeList:
    """Return a pipeline with what is wrong with it, seen without its projects.

    Raises:
        InvalidPipeline: there is no such file, or it gives no pipeline at all.
    """
    if isinstance(pipeline, Pipeline):
        return MistakeList(pipeline, (), pipeline_mistakes(pipeline))
    draft = draft_pipeline(pipeline)
    if draft.pipeline is None:
        raise invalid_pipeline(draft.mistakes, str(pipeline))
    return MistakeList(draft.pipeline, draft.spoken_for, list(draft.mistakes))


def _home() -> Path:
    from headgate.store.settings import read_settings

    return read_settings().home


def _promotion(pipeline: Pipeline, block: PromotionBlock, mistakes: MistakeList) -> PlannedPromotion | None:
    gate, watch = _gate(pipeline, block.gate, mistakes), _watch(pipeline, block.watch, mistakes)
    if gate is None:
        return None
    return PlannedPromotion(
        model=block.model,
        to=block.to,
        candidate=str(block.candidate),
        gate=gate,
        needs=promotion_needs(pipeline),
        evaluate=block.evaluate,
        allow_older=block.allow_older,
        on_reject=block.on_reject,
        watch=watch,
    )


def _gate(pipeline: Pipeline, gate: str | Gate, mistakes: MistakeList) -> Gate | None:
    if isinstance(gate, Gate):
        return gate
    if mistakes.silent(("promote", "gate")):
        return None
    try:
        return load_gate(pipeline.path(gate))
    except InvalidGate as error:
        mistakes.add(error, ("promote", "gate"))
        return None


def _watch(pipeline: Pipeline, watch: str | None, mistakes: MistakeList) -> Watch | None:
    if watch is None:
        return None
    try:
        found = load_watch(pipeline.path(watch))
        watch_text(found)
    except InvalidGate as error:
        mistakes.add(error, ("promote", "watch"))
        return None
    return found


def _steps(pipeline: Pipeline, found: Mapping[str, FoundEntryPoint | None], known: KnownValues) -> list[PlannedStep]:
    graph = edges(pipeline)
    return [
        _planned(pipeline, pipeline.step(name), found[name], generation, graph[name], known)
        for generation, names in enumerate(generations(graph))
        for name in names
    ]


def _planned(
    pipeline: Pipeline,
    step: Step,
    found: FoundEntryPoint | None,
    generation: int,
    needs: tuple[str, ...],
    known: KnownValues,
) -> PlannedStep:
    members = step.sweep.members() if step.sweep else ()
    project, version = pipeline.project_of(step)
    unseen = PlannedEnvironment(step.env or pipeline.env or "as the project declares")
    return PlannedStep(
        name=step.name,
        generation=generation,
        needs=needs,
        project=mask_text(found.source.name if found else project),
        version=version,
        entry_point=step.entry_point,
        parameters={key: known.shown(key, template) for key, template in step.parameters.items()},
        environment=found.environment if found else unseen,
        commit=found.source.checkout.commit if found and found.source.checkout else None,
        defaults=_defaults(step, found.entry_point) if found else {},
        data=_data(found.entry_point) if found else (),
        members=tuple({key: known.shown(key, template) for key, template in member.items()} for member in members),
        choose=step.choose,
        timeout=step.timeout,
        retries=step.retries,
    )


def _defaults(step: Step, entry_point: EntryPoint) -> dict[str, str]:
    given = {place[1] for place, _ in step.values}
    return {
        name: recorded_value(name, parameter.default, parameter.default)
        for name, parameter in entry_point.parameters.items()
        if parameter.default is not None and name not in given
    }


def _data(entry_point: EntryPoint) -> tuple[str, ...]:
    return tuple(name for name, parameter in entry_point.parameters.items() if parameter.type in ("path", "uri"))


def _notes(pipeline: Pipeline, found: Mapping[str, FoundEntryPoint | None]) -> list[str]:
    notes: list[str] = []
    for step in pipeline.steps:
        entry = found[step.name]
        if entry is not None:
            notes += [*entry.project.notes, *undeclared(step, entry)]
    return notes
