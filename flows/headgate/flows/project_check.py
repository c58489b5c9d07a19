"""The steps of a pipeline, held against the projects whose entry points they name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from headgate.flows.check import mistake_at
from headgate.flows.mistakes import Mistake
from headgate.flows.model import ENVIRONMENTS, Pipeline, Step
from headgate.flows.planned import PlannedEnvironment
from headgate.flows.values import KnownValues
from headgate.store.errors import EnvironmentUnavailable, InvalidInput, InvalidProject
from headgate.tasks.build_once import is_complete
from headgate.tasks.environments.choose import choose_environment, environment_name
from headgate.tasks.places import Place
from headgate.tasks.projects.mlproject import closest, find_entry_point, read_project
from headgate.tasks.projects.model import EntryPoint, EnvironmentKind, Parameter, Project
from headgate.tasks.projects.parameters import BoundParameter, bind_parameters, check_value, render_command
from headgate.tasks.projects.source import Source, folder_source, resolve_source


@dataclass(frozen=True, slots=True)
class FoundEntryPoint:
    """What a step runs: where the project is from, what its files say, the entry point and where it runs."""

    source: Source
    project: Project
    entry_point: EntryPoint
    environment: PlannedEnvironment


@dataclass(slots=True)
class MistakeList:
    """Mistakes of a pipeline and of the files it refers to.

    Args:
        spoken_for: places of which something is wrong already; nothing more is said of them.
    """

    pipeline: Pipeline
    spoken_for: Collection[Place] = ()
    found: list[Mistake] = field(default_factory=list)

    def silent(self, place: Place) -> bool:
        return any(place[:length] in self.spoken_for for length in range(1, len(place) + 1))

    def note(self, what: str, remedy: str, *places: Place) -> None:
        """Add a mistake at the first of ``places`` that stands in the file, or else at the last."""
        lines = self.pipeline.source.lines if self.pipeline.source else {}
        place = next((place for place in places if place in lines), places[-1])
        if not self.silent(place):
            self.found.append(mistake_at(self.pipeline, place, what, remedy))

    def add(self, error: InvalidInput, *places: Place) -> None:
        """Add an error about a file that the pipeline refers to: at that file's own line, where it has one."""
        file, line = error.attributes.get("file"), error.attributes.get("line")
        if file is not None and line is not None:
            self.found.append(Mistake(message_of(error), error.remedy, str(file), line))
        else:
            self.note(message_of(error), error.remedy, *places)


def message_of(error: InvalidInput) -> str:
    """Return an error's message without the ``file:line: `` that it may open with: a mistake shows its own place."""
    file, line = error.attributes.get("file"), error.attributes.get("line")
    return error.message.removeprefix(f"{file}:{line}: ").removeprefix(f"{file}: ")


class ProjectReader:
    """Finds the entry points of steps; each project is fetched and read once.

    Args:
        home: Headgate's folder, where projects from git and environments are cached; None looks at projects in folders
            only, and leaves those from elsewhere alone.
        env: environment of every step, over what the pipeline says.
        mistakes: what is wrong goes there.
        environments: whether to see that this machine has what the steps' environments need.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        home: Path | None,
        env: str | None,
        mistakes: MistakeList,
        *,
        environments: bool = True,
    ) -> None:
        self._pipeline = pipeline
        self._home = home
        self._env = env
        self._mistakes = mistakes
        self._environments = environments
        self._read: dict[tuple[str, str | None], tuple[Source, Project] | InvalidProject | None] = {}

    @property
    def projects(self) -> tuple[Project, ...]:
        """The projects that were read."""
        return tuple(found[1] for found in self._read.values() if isinstance(found, tuple))

    def find(self, step: Step) -> FoundEntryPoint | None:
        """Return what a step runs; None when there is no such thing, which is a mistake of the pipeline.

        None, without a mistake, for a project that is not looked at.

        Raises:
            ProjectUnavailable: a git server did not answer.
            EnvironmentUnavailable: git is needed and not installed.
        """
        place: Place = ("steps", step.name)
        of_project: Place = ("project",) if step.project is None else (*place, "project")
        if self._mistakes.silent(of_project) or self._mistakes.silent(place):
            return None
        wanted = self._pipeline.project_of(step)
        if wanted not in self._read:
            self._read[wanted] = self._load(*wanted)
        found = self._read[wanted]
        if found is None:
            return None
        if isinstance(found, InvalidProject):
            self._mistakes.add(found, of_project, place)
            return None
        source, project = found
        try:
            entry_point = find_entry_point(project, step.entry_point)
        except InvalidProject as error:
            self._mistakes.note(message_of(error), error.remedy, (*place, "entry_point"), place)
            return None
        try:
            render_command(entry_point, [_stand_in(parameter) for parameter in entry_point.parameters.values()])
        except InvalidProject as error:
            self._mistakes.add(error, (*place, "entry_point"), place)
            return None
        environment = self._environment(step, project)
        return None if environment is None else FoundEntryPoint(source, project, entry_point, environment)

    def _environment(self, step: Step, project: Project) -> PlannedEnvironment | None:
        places: tuple[Place, ...] = (("steps", step.name, "env"), ("env",), ("steps", step.name))
        asked = self._env or step.env or self._pipeline.env
        if asked is not None and asked not in ENVIRONMENTS:
            return None  # reported where it is written
        try:
            if not self._environments or self._home is None:
                return _declared_environment(project, asked)
            environment = choose_environment(project, asked, home=self._home)
        except InvalidProject as error:
            self._mistakes.add(error, *places)
            return None
        except EnvironmentUnavailable as error:
            self._mistakes.note(f"Step {step.name!r} can't run here: {error.message}", error.remedy, *places)
            return None
        folder: Path | None = getattr(environment, "folder", None)
        return PlannedEnvironment(
            kind=str(environment.name),
            source=_built_from(project) if folder is not None else "",
            python=environment.summary.get("python", ""),
            image=environment.summary.get("image", ""),
            cached=None if folder is None else is_complete(folder),
        )

    def _load(self, project: str, version: str | None) -> tuple[Source, Project] | InvalidProject | None:
        try:
            if self._home is not None:
                source = resolve_source(project, version=version, home=self._home)
            else:
                in_a_folder = folder_source(project) if version is None else None
                if in_a_folder is None:
                    return None
                source = in_a_folder
            return source, read_project(source.directory)
        except InvalidProject as error:
            return error


def _declared_environment(project: Project, asked: str | None) -> PlannedEnvironment:
    """Return what the files say of an environment; whether a machine has it is not looked at."""
    declared = project.environment.kind if project.environment is not None else None
    kinds = {EnvironmentKind.PYTHON: "virtualenv", EnvironmentKind.CONDA: "conda", EnvironmentKind.DOCKER: "docker"}
    kind = str(environment_name(project, asked)) if asked is not None else kinds.get(declared, "local")  # type: ignore[arg-type]
    image = project.environment.docker.image if project.environment and project.environment.docker else ""
    return PlannedEnvironment(
        kind=kind,
        source=_built_from(project) if kind in ("virtualenv", "conda") else "",
        image=image if kind == "docker" else "",
    )


def _stand_in(parameter: Parameter) -> BoundParameter:
    """Return a value for a parameter, good enough to see whether the command can take one."""
    return BoundParameter(parameter.name, "value", "value", parameter)


def _built_from(project: Project) -> str:
    declared = project.environment
    return declared.path.name if declared is not None and declared.path is not None else ""


def check_values(
    step: Step, found: FoundEntryPoint, known: KnownValues, mistakes: MistakeList, *, comes_first: bool
) -> None:
    """Note what a step's entry point needs and isn't given, and values that are not of their type.

    Args:
        comes_first: no step runs before this one, so no step can make a file that is not there yet.
    """
    place: Place = ("steps", step.name)
    declared = found.entry_point.parameters
    given = {value_place[1] for value_place, _ in step.values}
    for name, parameter in declared.items():
        if parameter.required and name not in given:
            mistakes.note(
                f"Step {step.name!r} gives no {name!r}, which the entry point {found.entry_point.name!r} needs.",
                _misspelt(name, sorted(given - set(declared))) or f"Add {name}: VALUE to its parameters.",
                (*place, "parameters"),
                place,
            )
    folder = mistakes.pipeline.path(".")
    for value_place, template in step.values:
        text = known.value(template)
        if value_place[1] not in declared or text is None:
            continue
        name = value_place[1]
        try:
            if comes_first:
                only_this = replace(found.entry_point, parameters={name: declared[name]})
                bind_parameters(
                    only_this,
                    {name: text},
                    working_directory=folder,
                    project_directory=found.source.directory,
                )
            else:
                check_value(found.entry_point, declared[name], text)
        except InvalidProject as error:
            hidden = f"Parameter {name!r}: the value is no {declared[name].type}."
            what = hidden if known.secret(template) else message_of(error)
            mistakes.note(f"Step {step.name!r}: {what}", error.remedy, (*place, *value_place), place)


def _misspelt(name: str, stray: list[str]) -> str:
    """Return the remedy when something was given that may have been meant as ``name``."""
    near = closest(name, stray)
    return f"{near!r} is given: did you mean {name!r}?" if near else ""


def undeclared(step: Step, found: FoundEntryPoint) -> Iterator[str]:
    """Yield a note for each parameter that an entry point with declared parameters does not declare."""
    declared = found.entry_point.parameters
    for key in dict.fromkeys(value_place[1] for value_place, _ in step.values):
        if declared and key not in declared:
            yield f"Step {step.name!r} gives {key!r}, which its entry point does not declare: --{key} is appended."
