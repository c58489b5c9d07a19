"""What a value of a pipeline may refer to: a small, closed template grammar.

::

    template   = (text | "{{" expression "}}")*
    expression = quoted | reference
    reference  = "steps" step ".model" | "steps" step ".run_id"
               | "steps" step ".artifacts" key | "steps" step ".metrics" key | "steps" step ".params" key
               | "params" key
               | "run.id" | "run.logical_date" | "run.data_interval_start" | "run.data_interval_end"
    step, key  = "." name | "[" quoted "]"
    name       = [A-Za-z_][A-Za-z0-9_-]*
    quoted     = "'…'" or '"…"'; a backslash takes the next character as it is

It looks like Jinja because Airflow's and Prefect's users read Jinja, and it is not Jinja: nothing is evaluated, no
attribute of any object is looked up, and what isn't listed above is an error. ``{{ '{{' }}`` stands for two braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from headgate.flows.mistakes import did_you_mean
from headgate.store.errors import InvalidPipeline

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
RUN_FIELDS = ("id", "logical_date", "data_interval_start", "data_interval_end")
STEP_FIELDS = ("model", "artifacts", "metrics", "params", "run_id")
_ROOTS = ("steps", "params", "run")
_SPACE = re.compile(r"\s*")
_QUOTES = ("'", '"')
_FORMS = (
    "Write steps.NAME.model, steps.NAME.artifacts['path'], steps.NAME.metrics.KEY, steps.NAME.params.KEY, "
    "steps.NAME.run_id, params.KEY or run.logical_date."
)


def _access(key: str) -> str:
    return f".{key}" if NAME.fullmatch(key) else f"[{_quote(key)}]"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """The LoggedModel that a step made; in a value it stands as ``models:/<model_id>``."""

    step: str

    def __str__(self) -> str:
        return f"{{{{ steps{_access(self.step)}.model }}}}"


@dataclass(frozen=True, slots=True)
class ArtifactReference:
    """A file or folder that a step's run logged, by its path among the run's artifacts."""

    step: str
    path: str

    def __str__(self) -> str:
        return f"{{{{ steps{_access(self.step)}.artifacts[{_quote(self.path)}] }}}}"


@dataclass(frozen=True, slots=True)
class MetricReference:
    """The latest value of a metric of a step's run."""

    step: str
    key: str

    def __str__(self) -> str:
        return f"{{{{ steps{_access(self.step)}.metrics{_access(self.key)} }}}}"


@dataclass(frozen=True, slots=True)
class StepParamReference:
    """A param of a step's run, such as the one that won a sweep."""

    step: str
    key: str

    def __str__(self) -> str:
        return f"{{{{ steps{_access(self.step)}.params{_access(self.key)} }}}}"


@dataclass(frozen=True, slots=True)
class RunIdReference:
    """The id of a step's run."""

    step: str

    def __str__(self) -> str:
        return f"{{{{ steps{_access(self.step)}.run_id }}}}"


@dataclass(frozen=True, slots=True)
class ParameterReference:
    """A parameter of the pipeline."""

    key: str

    def __str__(self) -> str:
        return f"{{{{ params{_access(self.key)} }}}}"


@dataclass(frozen=True, slots=True)
class RunReference:
    """A fact of the pipeline run: ``id``, ``logical_date``, ``data_interval_start`` or ``data_interval_end``.

    ``id`` is the pipeline run's own: the DAG run's or flow run's. Dates stand in a value as ISO 8601 in UTC, the form
    of Airflow's ``ts``.
    """

    field: str

    def __str__(self) -> str:
        return f"{{{{ run.{self.field} }}}}"


StepReference = ModelReference | ArtifactReference | MetricReference | StepParamReference | RunIdReference
Reference = StepReference | ParameterReference | RunReference
_REFERENCE_TYPES = (
    ModelReference,
    ArtifactReference,
    MetricReference,
    StepParamReference,
    RunIdReference,
    ParameterReference,
    RunReference,
)
_STEP_REFERENCE_TYPES = _REFERENCE_TYPES[:5]


@dataclass(frozen=True, slots=True)
class Template:
    """Text with references in it. Neighbouring texts are joined, so equal templates are equal values."""

    parts: tuple[str | Reference, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(_joined(self.parts)))

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))

    @property
    def step_references(self) -> tuple[StepReference, ...]:
        return tuple(part for part in self.parts if isinstance(part, _STEP_REFERENCE_TYPES))

    @property
    def sole_reference(self) -> Reference | None:
        """The reference, when the template is nothing else."""
        if len(self.parts) == 1 and not isinstance(self.parts[0], str):
            return self.parts[0]
        return None

    def render(self, resolve: Callable[[Reference], str | None]) -> str:
        """Return the text with each reference replaced by what ``resolve`` says.

        Where ``resolve`` gives None, the reference stays as it is written: a plan shows it that way.
        """
        return "".join(part if isinstance(part, str) else _resolved(part, resolve) for part in self.parts)

    def __str__(self) -> str:
        """Return the template in its canonical writing; parsing that gives the same template."""
        last = len(self.parts) - 1
        return "".join(
            _escaped(part, before_reference=index < last) if isinstance(part, str) else str(part)
            for index, part in enumerate(self.parts)
        )


def _escaped(text: str, *, before_reference: bool) -> str:
    braces = r"\{{2,}|\{\Z" if before_reference else r"\{{2,}"
    return re.sub(braces, lambda run: f"{{{{ {_quote(run.group())} }}}}", text)


def _joined(parts: tuple[str | Reference, ...]) -> Iterator[str | Reference]:
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text


def _resolved(reference: Reference, resolve: Callable[[Reference], str | None]) -> str:
    value = resolve(reference)
    return str(reference) if value is None else value


def is_reference(value: object) -> bool:
    """Tell whether a Python value is one of the reference classes of this module."""
    return isinstance(value, _REFERENCE_TYPES)


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        InvalidPipeline: an expression is not in the grammar; ``position`` is its 0-based offset in ``text``.
    """
    parts: list[str | Reference] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        expression = _Expression(text, start)
        parts += [text[position:start], expression.read()]
        position = expression.position
    parts.append(text[position:])
    return Template(tuple(parts))


class _Expression:
    """Reads one ``{{ … }}`` that starts at ``start``; ``position`` is where the reading stands."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = start
        self.position = start + 2

    def read(self) -> str | Reference:
        self.skip_space()
        part = self.quoted() if self.text[self.position : self.position + 1] in _QUOTES else self.reference()
        self.skip_space()
        if not self.text.startswith("}}", self.position):
            closed = "}}" in self.text[self.position :]
            raise self.mistake(
                "can't be read" if closed else "is not closed",
                "Write a reference such as {{ steps.train.model }} or {{ params.window }}; there are no filters, calls "
                "or operators.",
            )
        self.position += 2
        return part

    def reference(self) -> Reference:
        segments = [self.name("does not start with a name", "A reference starts with steps, params or run.")]
        while True:
            if self.take("."):
                remedy = "Write what isn't a plain name in brackets, such as artifacts['train.parquet']."
                segments.append(self.name("lacks a name after the dot", remedy))
            elif self.take("["):
                segments.append(self.bracketed())
            else:
                return self.meaning(segments)

    def name(self, what: str, remedy: str) -> str:
        match = NAME.match(self.text, self.position)
        if match is None:
            raise self.mistake(what, remedy)
        self.position = match.end()
        return match.group()

    def bracketed(self) -> str:
        self.skip_space()
        if self.text[self.position : self.position + 1] not in _QUOTES:
            raise self.mistake("lacks a quote after the bracket", "Write the key as in artifacts['train.parquet'].")
        key = self.quoted()
        self.skip_space()
        if not self.take("]"):
            raise self.mistake("has an open bracket", "Close it with ].")
        return key

    def quoted(self) -> str:
        quote = self.text[self.position]
        characters: list[str] = []
        position = self.position + 1
        while position < len(self.text):
            character = self.text[position]
            if character == quote:
                self.position = position + 1
                return "".join(characters)
            if character == "\\" and position + 1 < len(self.text):
                position += 1
                character = self.text[position]
            characters.append(character)
            position += 1
        raise self.mistake("has an open quote", f"Close it with {quote}.")

    def take(self, token: str) -> bool:
        taken = self.text.startswith(token, self.position)
        self.position += len(token) if taken else 0
        return taken

    def skip_space(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def meaning(self, segments: list[str]) -> Reference:
        match segments:
            case ["params", key]:
                return ParameterReference(key)
            case ["run", field]:
                if field not in RUN_FIELDS:
                    raise self.unknown("a pipeline run", field, RUN_FIELDS)
                return RunReference(field)
            case ["steps", step, field, *keys]:
                if field not in STEP_FIELDS:
                    raise self.unknown(f"step {step!r}", field, STEP_FIELDS)
                return self.step_reference(step, field, keys)
        if segments[0] not in _ROOTS:
            raise self.unknown("a template", segments[0], _ROOTS)
        raise self.mistake("names nothing", _FORMS)

    def step_reference(self, step: str, field: str, keys: list[str]) -> StepReference:
        match field, keys:
            case "model", []:
                return ModelReference(step)
            case "run_id", []:
                return RunIdReference(step)
            case "metrics", [key]:
                return MetricReference(step, key)
            case "params", [key]:
                return StepParamReference(step, key)
            case "artifacts", [path]:
                return ArtifactReference(step, self.artifact_path(path))
            case (("model" | "run_id"), _):
                raise self.mistake("goes too deep", f"Write steps.{step}.{field}.")
        example = ".".join(keys) or {"artifacts": "train.parquet", "metrics": "f1", "params": "max_depth"}[field]
        raise self.mistake("names no single key", f"Write steps.{step}.{field}[{_quote(example)}].")

    def artifact_path(self, path: str) -> str:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise self.mistake(
                "leaves the run's artifacts", "Write a relative path without '..', such as 'train.parquet'."
            )
        return str(pure)

    def unknown(self, owner: str, name: str, known: tuple[str, ...]) -> InvalidPipeline:
        return self.mistake(f"asks for {name!r}, which {owner} does not have", did_you_mean(name, known))

    def mistake(self, what: str, remedy: str) -> InvalidPipeline:
        end = self.text.find("}}", self.start)
        shown = self.text[self.start : end + 2 if end >= 0 else None]
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return InvalidPipeline(f"The expression {shown} {what}.", remedy=remedy, position=self.start)
