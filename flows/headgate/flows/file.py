"""The pipeline file: YAML in, a :class:`~headgate.flows.model.Pipeline` out, every mistake with file, line and remedy.

A file is read as far as it goes. Its mistakes are collected, together with those that the pipeline itself shows
(:mod:`headgate.flows.check`), and told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.flows.check import pipeline_mistakes
from headgate.flows.mistakes import Mistake, did_you_mean, invalid_pipeline
from headgate.flows.model import (
    Choice,
    OnReject,
    Pipeline,
    PipelineParameter,
    PromotionBlock,
    Scalar,
    Source,
    Step,
    Sweep,
    type_of,
)
from headgate.flows.references import RunReference, Template, parse_template
from headgate.flows.schedule import Schedule, schedule_from
from headgate.flows.yaml_tree import Tree, read_tree
from headgate.store.errors import InvalidGate, InvalidPipeline
from headgate.tasks.places import Place, below

if TYPE_CHECKING:
    from headgate.tasks.gates.model import Gate

FILE_NAMES = ("pipeline.yaml", "pipeline.yml")
PIPELINE_KEYS = (
    "name",
    "description",
    "experiment",
    "schedule",
    "project",
    "version",
    "env",
    "parameters",
    "steps",
    "promote",
)
STEP_KEYS = (
    "entry_point",
    "project",
    "version",
    "parameters",
    "needs",
    "env",
    "timeout",
    "retries",
    "sweep",
    "choose",
)
PROMOTION_KEYS = ("model", "candidate", "to", "gate", "needs", "evaluate", "allow_older", "on_reject", "watch")
PARAMETER_KEYS = ("type", "default", "description", "choices")
SCHEDULE_KEYS = ("cron", "timezone", "assets", "after")

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# Stands for a value that could not be read; what it renders to is unknown before a run, so nothing more is said of it.
_UNREADABLE = Template((RunReference("id"),))
_UNREADABLE_GATE = "gate.yaml"


@dataclass(frozen=True)
class Draft:
    """What a pipeline file gives, as far as it could be read.

    Args:
        pipeline: None when not even a name and steps could be found.
        mistakes: everything that is wrong with the file and the pipeline, without its projects.
        spoken_for: places of which something is wrong; what else is wrong there or below follows from it.
    """

    pipeline: Pipeline | None
    mistakes: tuple[Mistake, ...]
    spoken_for: frozenset[Place] = frozenset()


def find_pipeline(path: str | Path) -> Path | None:
    """Return the pipeline file that ``path`` means: the file itself, or the one in a folder; None if there is none."""
    path = Path(path)
    if not path.is_dir():
        return path if path.suffix in (".yaml", ".yml") else None
    return next((path / name for name in FILE_NAMES if (path / name).is_file()), None)


def read_pipeline(path: str | Path) -> Pipeline:
    """Read a pipeline file.

    Args:
        path: the file, or a folder with a ``pipeline.yaml``.

    Returns:
        The pipeline; it equals the same thing written in Python with ``folder`` set to the file's own folder. Projects
        and gate files are not looked at: :func:`headgate.flows.plan` does that.

    Raises:
        InvalidPipeline: the file is missing or wrong; tells every mistake with file, line and remedy, and holds them as
            ``mistakes``.
    """
    draft = draft_pipeline(path)
    if draft.mistakes or draft.pipeline is None:
        raise invalid_pipeline(draft.mistakes, str(path))
    return draft.pipeline


def parse_pipeline(text: str, *, file: str = "pipeline.yaml", folder: str | Path | None = None) -> Pipeline:
    """Read a pipeline from the content of its file; raises as :func:`read_pipeline`.

    Args:
        text: the content.
        file: what messages call it.
        folder: what relative paths start from.
    """
    draft = draft_of(text, file, folder)
    if draft.mistakes or draft.pipeline is None:
        raise invalid_pipeline(draft.mistakes, file)
    return draft.pipeline


def draft_pipeline(path: str | Path) -> Draft:
    """Read as much of a pipeline file as can be read.

    Raises:
        InvalidPipeline: there is no such file.
    """
    file = find_pipeline(path)
    if file is None:
        raise InvalidPipeline(
            f"{path} has no pipeline file.",
            remedy=f"Give the path of a pipeline file, or put a {FILE_NAMES[0]} there.",
            file=str(path),
            line=None,
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidPipeline(
            f"{file}: the file is not UTF-8 text.", remedy="Save it as UTF-8.", file=str(file)
        ) from error
    except OSError as error:
        raise InvalidPipeline(
            f"The pipeline file {file} can't be read: {error.strerror}.", remedy="Give its path.", file=str(file)
        ) from error
    return draft_of(text, str(file), file.absolute().parent)


def draft_of(text: str, file: str, folder: str | Path | None) -> Draft:
    """Read as much of a pipeline file's content as can be read."""
    tree = read_tree(text, file)
    pipeline = _Reader(tree).pipeline(folder)
    mistakes = list(tree.mistakes)
    if pipeline is not None:
        mistakes += pipeline_mistakes(pipeline, spoken_for=tree.spoken_for)
    return Draft(pipeline, tuple(mistakes), frozenset(tree.spoken_for))


class _Reader:
    """Walks the values of a pipeline file; what is wrong goes to ``tree.mistakes``."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def pipeline(self, folder: str | Path | None) -> Pipeline | None:
        if self.tree.value is None:
            if not self.tree.mistakes:
                self.tree.note((), "The file is empty.", "A pipeline has a name and steps.")
            return None
        if not isinstance(self.tree.value, dict):
            self.tree.note((), "A pipeline file holds keys and values.", "Write name: NAME and steps: below it.")
            return None
        fields = self.mapping((), "A pipeline", PIPELINE_KEYS)
        for needed in ("name", "steps"):
            if fields.get(needed) is None:
                self.tree.note((needed,), f"The pipeline has no {needed}.", f"Add {needed}: at the top of the file.")
        return Pipeline(
            self.text(("name",)) or "",
            steps=tuple(self.step(name) for name in self.mapping(("steps",), "steps")),
            promote=self.promotion() if "promote" in fields else None,
            parameters={name: self.parameter(name) for name in self.mapping(("parameters",), "parameters")},
            experiment=self.text(("experiment",)),
            schedule=self.schedule() if "schedule" in fields else None,
            project=self.text(("project",)) or ".",
            version=self.text(("version",)),
            env=self.text(("env",)),
            description=self.text(("description",)) or "",
            folder=folder,
            source=Source(self.tree.file, self.tree.lines),
        )

    def step(self, name: str) -> Step:
        place = ("steps", name)
        fields = self.mapping(place, f"Step {name!r}", STEP_KEYS)
        return Step(
            name,
            entry_point=self.text((*place, "entry_point")) or "main",
            parameters={
                key: self.template((*place, "parameters", key))
                for key in self.mapping((*place, "parameters"), f"The parameters of step {name!r}")
            },
            project=self.text((*place, "project")),
            version=self.text((*place, "version")),
            needs=self.texts((*place, "needs")),
            env=self.text((*place, "env")),
            timeout=self.seconds((*place, "timeout")),
            sweep=self.sweep((*place, "sweep"), name) if "sweep" in fields else None,
            choose=self.choice((*place, "choose"), name) if "choose" in fields else None,
            retries=self.whole_number((*place, "retries")) or 0,
        )

    def sweep(self, place: Place, step: str) -> Sweep:
        tried: dict[str, list[Template]] = {}
        for key, values in self.mapping(place, f"The sweep of step {step!r}").items():
            if not isinstance(values, list):
                self.tree.note((*place, key), f"{key!r} of a sweep is a list of values.", f"Write {key}: [VALUE, …].")
                tried[key] = [_UNREADABLE]
            else:
                tried[key] = [self.template((*place, key, index)) for index in range(len(values))]
        return Sweep(tried)

    def choice(self, place: Place, step: str) -> Choice:
        fields = self.mapping(place, f"choose of step {step!r}", ("metric", "mode"))
        if "metric" not in fields:
            self.tree.note(
                place, f"choose of step {step!r} names no metric.", "Write choose: {metric: NAME, mode: max}."
            )
            return Choice("")
        return Choice(self.text((*place, "metric")) or "", self.text((*place, "mode")) or "max")

    def parameter(self, name: str) -> PipelineParameter:
        place = ("parameters", name)
        value = self.value(place)
        if isinstance(value, dict):
            fields = self.mapping(place, f"The parameter {name!r}", PARAMETER_KEYS)
            default = self.scalar((*place, "default")) if fields.get("default") is not None else None
            choices = self.scalars((*place, "choices"), f"The choices of the parameter {name!r}")
            known = next((value for value in (default, *choices) if value is not None), None)
            return PipelineParameter(
                name,
                self.text((*place, "type")) or ("string" if known is None else type_of(known)),
                default,
                self.text((*place, "description")) or "",
                choices,
            )
        if value is None:
            self.tree.note(
                place, f"The parameter {name!r} has neither a default nor a type.", f"Write {name}: {{type: string}}."
            )
            return PipelineParameter(name)
        default = self.scalar(place)
        return PipelineParameter(name) if default is None else PipelineParameter(name, type_of(default), default)

    def schedule(self) -> Schedule | None:
        place = ("schedule",)
        value = self.value(place)
        if isinstance(value, dict):
            value = self.mapping(place, "A schedule", SCHEDULE_KEYS)
            value = {key: item for key, item in value.items() if key in SCHEDULE_KEYS}
        elif value is not None and not isinstance(value, str):
            self.tree.note(place, "A schedule is a cron expression or keys.", 'Write schedule: "0 3 * * 1".')
            return None
        try:
            return schedule_from(value)
        except InvalidPipeline as error:
            self.tree.note(place, error.message, error.remedy)
            return None

    def promotion(self) -> PromotionBlock | None:
        place = ("promote",)
        fields = self.mapping(place, "promote", PROMOTION_KEYS)
        if place in self.tree.spoken_for:
            return None
        missing = [key for key in ("model", "candidate", "to", "gate") if fields.get(key) is None]
        for key in missing:
            self.tree.note(place, f"The promotion has no {key}.", f"Add {key}: to promote.")
        if missing:
            return None
        return PromotionBlock(
            model=self.text((*place, "model")) or "",
            candidate=self.template((*place, "candidate")),
            to=self.text((*place, "to")) or "",
            gate=self.gate((*place, "gate")) or _UNREADABLE_GATE,
            needs=self.texts((*place, "needs")) if "needs" in fields else None,
            evaluate=self.text((*place, "evaluate")),
            allow_older=self.switch((*place, "allow_older")),
            on_reject=self.text((*place, "on_reject")) or OnReject.FAIL,
            watch=self.text((*place, "watch")),
        )

    def gate(self, place: Place) -> str | Gate | None:
        value = self.value(place)
        if not isinstance(value, dict):
            return self.text(place)
        from headgate.tasks.gates.definition import gate_from_definition
        from headgate.tasks.gates.origin import Origin

        try:
            return gate_from_definition(
                value, Origin(None, below(self.tree.lines, place), below(self.tree.texts, place))
            )
        except InvalidGate as error:
            self.tree.spoken_for.add(place)
            line = error.line or self.tree.line(place)
            self.tree.mistakes.append(Mistake(error.message, error.remedy, self.tree.file, line))
            return None

    # What a place holds, as a value of one kind; anything else is a mistake and reads as "not said".

    def value(self, place: Place) -> Any:
        value = self.tree.value
        for key in place:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int):
                value = value[key]
            else:
                return None
        return value

    def mapping(self, place: Place, what: str, known: Iterable[str] | None = None) -> Mapping[str, Any]:
        value = self.value(place)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.tree.note(place, f"{what} must be keys and values.", "Write key: value lines below it.")
            return {}
        for key in value if known is not None else ():
            if key not in (known or ()):
                self.tree.note((*place, key), f"{what} has no key {key!r}.", did_you_mean(key, known or ()))
        return value

    def scalar(self, place: Place) -> Scalar | None:
        value = self.value(place)
        if isinstance(value, str | int | float):
            return value
        if value is not None:
            self.tree.note(place, f"{_name(place)} must be one value.", "Write a text, a number, true or false.")
        return None

    def scalars(self, place: Place, what: str) -> tuple[Scalar, ...]:
        value = self.value(place)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.tree.note(place, f"{what} are a list of values.", f"Write {_name(place)}: [VALUE, …].")
            return ()
        return tuple(item for index in range(len(value)) if (item := self.scalar((*place, index))) is not None)

    def text(self, place: Place) -> str | None:
        value = self.scalar(place)
        if value is None or isinstance(value, str):
            return value
        return self.tree.texts.get(place, str(value))  # an unquoted 1.10 is a version here, not a number

    def texts(self, place: Place) -> tuple[str, ...]:
        value = self.value(place)
        if not isinstance(value, list):
            text = self.text(place)
            return () if text is None else (text,)
        return tuple(text for index in range(len(value)) if (text := self.text((*place, index))) is not None)

    def template(self, place: Place) -> Template:
        value = self.value(place)
        if value is None:
            self.tree.note(place, f"{_name(place)} has no value.", 'Write a value; "" is the empty text.')
            return _UNREADABLE
        scalar = self.scalar(place)
        if scalar is None:
            return _UNREADABLE
        if not isinstance(scalar, str):
            return Template((self.tree.texts.get(place, str(scalar)) if isinstance(scalar, float) else str(scalar),))
        try:
            return parse_template(scalar)
        except InvalidPipeline as error:
            self.tree.note(place, error.message, error.remedy)
            return _UNREADABLE

    def seconds(self, place: Place) -> float | None:
        value = self.scalar(place)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.tree.note(
                place, f"{_name(place)} can't be {value!r}.", "Write seconds, or a number with a unit: 90s, 30m or 2h."
            )
            return None
        return float(match[1]) * _UNITS[match[2]]

    def whole_number(self, place: Place) -> int | None:
        value = self.value(place)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.tree.note(place, f"{_name(place)} must be a whole number.", f"Write {_name(place)}: 2.")
        return None

    def switch(self, place: Place) -> bool:
        value = self.value(place)
        if value is not None and not isinstance(value, bool):
            self.tree.note(place, f"{_name(place)} must be true or false.", f"Write {_name(place)}: true.")
            return False
        return bool(value)


def _name(place: Place) -> str:
    named = [str(part) for part in place if isinstance(part, str)]
    return named[-1] if named else "the file"
