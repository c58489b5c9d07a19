"""A pipeline as a value: what ``pipeline.yaml`` says, or the same thing written in Python.

::

    prepare = Step("prepare", entry_point="prepare")
    train = Step(
        "train",
        entry_point="train",
        parameters={"data": prepare.artifact("train.parquet"), "max_depth": 6},
        sweep={"n_estimators": [50, 100, 200]},
        choose=Choice("val_f1"),
    )
    pipeline = Pipeline(
        "tumor-screening",
        steps=[prepare, train],
        promote=PromotionBlock(
            model="tumor-screening", candidate=train.model, to="@champion", gate="gate.yaml"
        ),
    )

Constructors take the short forms (references, lists, plain mappings) and keep one normal form, so a pipeline written in
Python equals the one that its file gives. They only normalise: :func:`headgate.flows.check.check_pipeline`, which
``plan`` and ``run_pipeline`` call first, says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.flows.references import (
    ArtifactReference,
    MetricReference,
    ModelReference,
    Reference,
    RunIdReference,
    StepParamReference,
    StepReference,
    Template,
    is_reference,
    parse_template,
)
from headgate.flows.schedule import Schedule, schedule_from
from headgate.store.errors import InvalidPipeline
from headgate.tasks.places import Place
from headgate.tasks.projects.values import text_of

if TYPE_CHECKING:
    from headgate.tasks.gates.model import Gate

Scalar = str | int | float | bool
Value = Scalar | Reference | Template
"""What may be written as a parameter's value; texts may hold references."""

PARAMETER_TYPES = ("string", "float", "int", "bool", "path", "uri")
ENVIRONMENTS = ("local", "virtualenv", "conda", "docker")
MODES = ("max", "min")
_SSH = re.compile(r"[\w.-]+@[\w.-]+:")


def template_of(value: Value) -> Template:
    """Return the template that a value stands for.

    Raises:
        InvalidPipeline: a text holds an expression that is not in the grammar, or the value is no scalar.
    """
    if isinstance(value, Template):
        return value
    if isinstance(value, str):
        return parse_template(value)
    if is_reference(value):
        return Template((value,))  # type: ignore[arg-type]
    if isinstance(value, int | float):
        return Template((text_of(value),))
    raise InvalidPipeline(
        f"{value!r} ({type(value).__name__}) can't be a parameter's value.",
        remedy="Give a text, a number, true or false, or a reference such as train.model.",
    )


def _keep(instance: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(instance, name, value)


@dataclass(frozen=True, slots=True)
class PipelineParameter:
    """A parameter of the whole pipeline, referred to as ``{{ params.NAME }}``.

    Args:
        type: ``string``, ``float``, ``int``, ``bool``, ``path`` or ``uri``.
        default: None when the parameter must be given.
        choices: the only values it may have; empty for any.
    """

    name: str
    type: str = "string"
    default: Scalar | None = None
    description: str = ""
    choices: tuple[Scalar, ...] = ()

    def __post_init__(self) -> None:
        _keep(self, choices=tuple(self.choices))

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(frozen=True, slots=True, init=False)
class Sweep:
    """Values to try: one run per combination, in the order written, the last key varying fastest.

    The position of a combination is its map index.
    """

    values: Mapping[str, tuple[Template, ...]]

    def __init__(self, values: Mapping[str, Iterable[Value]]) -> None:
        _keep(self, values={key: tuple(template_of(value) for value in tried) for key, tried in values.items()})

    def members(self) -> tuple[Mapping[str, Template], ...]:
        """Return the combinations."""
        return tuple(dict(zip(self.values, combination, strict=True)) for combination in product(*self.values.values()))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which run of a sweep goes on: the one with the best latest value of ``metric``.

    A run whose metric is missing, NaN or infinite is never chosen; among equals the lowest map index is.
    """

    metric: str
    mode: str = "max"


@dataclass(frozen=True, slots=True, init=False)
class Step:
    """One entry point of a project, run as a step of a pipeline.

    Args:
        name: names the step in references; letters, digits, ``_`` and ``-``.
        entry_point: an entry point of the MLproject file, or a ``.py`` or ``.sh`` file of the project.
        parameters: values for the entry point; references make edges. Relative paths start from the pipeline's folder.
        project: folder or git URI; None takes the pipeline's.
        version: git branch, tag or commit of ``project``.
        needs: steps that must finish first, beyond those that ``parameters`` refer to.
        env: ``local``, ``virtualenv``, ``conda`` or ``docker``; None takes the pipeline's, or else the project's.
        timeout: seconds that one run may take; None means no limit.
        sweep: parameter → values to try.
        choose: which run of the sweep goes on.
        retries: how often a run that failed for a reason that a retry may cure is run again.
    """

    name: str
    entry_point: str
    parameters: Mapping[str, Template]
    project: str | None
    version: str | None
    needs: tuple[str, ...]
    env: str | None
    timeout: float | None
    sweep: Sweep | None
    choose: Choice | None
    retries: int

    def __init__(
        self,
        name: str,
        *,
        entry_point: str = "main",
        parameters: Mapping[str, Value] | None = None,
        project: str | None = None,
        version: str | None = None,
        needs: Iterable[str | Step] = (),
        env: str | None = None,
        timeout: float | None = None,
        sweep: Sweep | Mapping[str, Iterable[Value]] | None = None,
        choose: Choice | Mapping[str, str] | None = None,
        retries: int = 0,
    ) -> None:
        _keep(
            self,
            name=name,
            entry_point=entry_point,
            parameters={key: template_of(value) for key, value in (parameters or {}).items()},
            project=project,
            version=version,
            needs=_step_names(needs),
            env=env,
            timeout=None if timeout is None else float(timeout),
            sweep=sweep if isinstance(sweep, Sweep | None) else Sweep(sweep),
            choose=choose if isinstance(choose, Choice | None) else Choice(**choose),
            retries=retries,
        )

    @property
    def model(self) -> ModelReference:
        """Refers to the model that this step makes."""
        return ModelReference(self.name)

    @property
    def run_id(self) -> RunIdReference:
        """Refers to the id of this step's run."""
        return RunIdReference(self.name)

    def artifact(self, path: str) -> ArtifactReference:
        """Refer to a file or folder that this step logs."""
        return ArtifactReference(self.name, path)

    def metric(self, key: str) -> MetricReference:
        """Refer to a metric that this step logs."""
        return MetricReference(self.name, key)

    def param(self, key: str) -> StepParamReference:
        """Refer to a param of this step's run."""
        return StepParamReference(self.name, key)

    @property
    def values(self) -> Iterator[tuple[tuple[str, ...], Template]]:
        """Yield every value of the step with its place: ``("parameters", key)`` or ``("sweep", key)``."""
        for key, template in self.parameters.items():
            yield ("parameters", key), template
        for key, tried in (self.sweep.values if self.sweep else {}).items():
            for template in tried:
                yield ("sweep", key), template

    @property
    def step_references(self) -> tuple[StepReference, ...]:
        """What this step takes from other steps."""
        return tuple(reference for _, template in self.values for reference in template.step_references)


def _step_names(steps: Iterable[str | Step]) -> tuple[str, ...]:
    given = [steps] if isinstance(steps, str | Step) else steps
    return tuple(dict.fromkeys(step if isinstance(step, str) else step.name for step in given))


class OnReject(StrEnum):
    """How a pipeline ends when its gate, or a person, says no."""

    FAIL = "fail"
    SKIP = "skip"
    SUCCEED = "succeed"


@dataclass(frozen=True, slots=True, init=False)
class PromotionBlock:
    """What happens to the model at the end: a gate decides, and a passing verdict promotes it.

    Args:
        model: the registered model.
        candidate: the step whose model is the candidate, as ``train.model`` or ``"{{ steps.train.model }}"``.
        to: the alias (``@champion``) or stage (``stage:Production``) that it is promoted to.
        gate: path of a gate file, or a Gate; the content of a gate file becomes a Gate.
        needs: steps that must finish before the gate decides; None means all of them.
        evaluate: the step that measures the candidate. Where the champion was never measured on the same data, that
            step runs once more with the champion in the candidate's place.
        allow_older: let a run with an older logical date displace a champion with a newer one.
        on_reject: how the pipeline ends when the answer is no, as :class:`OnReject` has it.
        watch: path of a watch file: how the promoted model is to be looked after. It is kept with the promotion.
    """

    model: str
    candidate: Template
    to: str
    gate: str | Gate
    needs: tuple[str, ...] | None
    evaluate: str | None
    allow_older: bool
    on_reject: str
    watch: str | None

    def __init__(
        self,
        *,
        model: str,
        candidate: ModelReference | Template | str,
        to: str,
        gate: str | Path | Mapping[str, Any] | Gate,
        needs: Iterable[str | Step] | None = None,
        evaluate: str | Step | None = None,
        allow_older: bool = False,
        on_reject: str = OnReject.FAIL,
        watch: str | Path | None = None,
    ) -> None:
        _keep(
            self,
            model=model,
            candidate=template_of(candidate),
            to=to,
            gate=_gate(gate),
            needs=None if needs is None else _step_names(needs),
            evaluate=evaluate.name if isinstance(evaluate, Step) else evaluate,
            allow_older=allow_older,
            on_reject=str(on_reject),
            watch=None if watch is None else str(watch),
        )

    @property
    def candidate_step(self) -> str | None:
        """The step whose model is the candidate; None when ``candidate`` is no reference to a model."""
        reference = self.candidate.sole_reference
        return reference.step if isinstance(reference, ModelReference) else None


def _gate(gate: str | Path | Mapping[str, Any] | Gate) -> str | Gate:
    if isinstance(gate, Path):
        return str(gate)
    if isinstance(gate, Mapping):
        from headgate.tasks.gates.definition import gate_from_definition

        return gate_from_definition(gate)
    return gate


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a pipeline was read from, and the 1-based line of each place in it."""

    file: str
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int | None:
        """Return the line of ``place``, or of the nearest thing around it."""
        return next((self.lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self.lines), None)


@dataclass(frozen=True, slots=True, init=False)
class Pipeline:
    """Entry points chained into a graph, with an optional promotion at its end.

    Args:
        name: names the pipeline in runs, and the DAG or flow that it becomes.
        steps: in any order; the graph orders them.
        promote: what happens to the model at the end.
        parameters: name → default (its type is the default's) or a :class:`PipelineParameter`.
        experiment: the experiment that runs go to; None takes ``name``.
        schedule: when an orchestrator starts it.
        project: folder or git URI of the steps that name none.
        version: git branch, tag or commit of ``project``.
        env: environment of the steps that name none.
        description: a sentence for people.
        folder: what relative paths start from; None is the working directory of the process. A file's own folder.
        source: the file and its lines, for messages; no part of the pipeline's identity.
    """

    name: str
    steps: tuple[Step, ...]
    promote: PromotionBlock | None
    parameters: Mapping[str, PipelineParameter]
    experiment: str | None
    schedule: Schedule | None
    project: str
    version: str | None
    env: str | None
    description: str
    folder: str | None
    source: Source | None = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        steps: Iterable[Step],
        promote: PromotionBlock | None = None,
        parameters: Mapping[str, PipelineParameter | Scalar] | None = None,
        experiment: str | None = None,
        schedule: Schedule | str | Mapping[str, Any] | None = None,
        project: str | Path = ".",
        version: str | None = None,
        env: str | None = None,
        description: str = "",
        folder: str | Path | None = None,
        source: Source | None = None,
    ) -> None:
        _keep(
            self,
            name=name,
            steps=tuple(steps),
            promote=promote,
            parameters={key: _parameter(key, value) for key, value in (parameters or {}).items()},
            experiment=experiment,
            schedule=schedule_from(schedule),
            project=str(project),
            version=version,
            env=env,
            description=description,
            folder=None if folder is None else str(folder),
            source=source,
        )

    def step(self, name: str) -> Step:
        """Return the step of this name.

        Raises:
            KeyError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    @property
    def experiment_name(self) -> str:
        return self.experiment or self.name

    @property
    def label(self) -> str:
        """What messages call the pipeline: its file, or else its name."""
        return self.source.file if self.source else self.name

    def path(self, relative: str) -> Path:
        """Return a path of the pipeline as an absolute one."""
        return Path(self.folder or ".").joinpath(Path(relative).expanduser()).absolute()

    def project_of(self, step: Step) -> tuple[str, str | None]:
        """Return (project, version) of a step; a local folder as an absolute path, a git URI as it is."""
        if step.project is not None:
            project, version = step.project, step.version
        else:
            project, version = self.project, step.version or self.version
        return (project if is_remote(project) else str(self.path(project))), version


def is_remote(project: str) -> bool:
    """Tell whether a project is a git URI rather than a folder."""
    return "://" in project or _SSH.match(project) is not None


def _parameter(name: str, value: PipelineParameter | Scalar) -> PipelineParameter:
    if isinstance(value, PipelineParameter):
        return value
    return PipelineParameter(name, type_of(value), value)


def type_of(value: Scalar) -> str:
    """Return the parameter type that a default implies."""
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "float" if isinstance(value, float) else "string"
