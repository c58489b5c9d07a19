"""From an entry point and the values a caller gives to the command that runs, and to the params that are recorded."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from headgate.store.errors import InvalidProject
from headgate.tasks.projects.located_yaml import invalid_at
from headgate.tasks.projects.mlproject import closest
from headgate.tasks.projects.model import EntryPoint, Parameter
from headgate.tasks.projects.quoting import Piece, Place, place_fields, writable, write_value, write_variable
from headgate.tasks.projects.secrets import recorded_value
from headgate.tasks.projects.values import text_of

# Downloads a URI into a folder and returns the path of what was downloaded.
Download = Callable[[str, Path], Path]

_SECRET_VARIABLE = "HEADGATE_SECRET_"  # noqa: S105 - the beginning of a variable's name


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """A parameter with its value.

    Args:
        text: what the command line gets.
        recorded: what the run records: the value as given, unquoted, with secrets masked.
        declared: None for an extra parameter.
        path: where a local ``path`` parameter points, absolute; None for any other.
        secret: the command line must not show ``text``.
    """

    name: str
    text: str = field(repr=False)
    recorded: str
    declared: Parameter | None = None
    path: Path | None = None
    secret: bool = False

    @property
    def remote(self) -> bool:
        """Whether the value is a URI that has to be downloaded first."""
        return self.declared is not None and self.declared.type == "path" and self.path is None

    def moved(self, before: Path, now: Path) -> BoundParameter:
        """Return the parameter as it is when the folder ``before`` was copied to ``now``."""
        if self.path is None or not self.path.is_relative_to(before):
            return self
        path = now / self.path.relative_to(before)
        return replace(self, text=str(path), path=path)


@dataclass(frozen=True, slots=True)
class Command:
    """What bash gets.

    Args:
        text: the command; secrets are in it as names of environment variables only.
        secrets: those variables, ``HEADGATE_SECRET_…`` → value.
    """

    text: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def bind_parameters(
    entry_point: EntryPoint, given: Mapping[str, Any] | None, *, working_directory: Path, project_directory: Path
) -> tuple[BoundParameter, ...]:
    """Check the values a caller gives against what an entry point declares.

    Args:
        entry_point: what is going to run.
        given: name → value; a value None counts as not given. Names that are not declared are passed on as
            ``--name value``.
        working_directory: local paths are relative to it. A declared default that is not there is also sought in
            ``project_directory``.
        project_directory: the folder of the project.

    Returns:
        Every declared parameter in the order of the file, then the extra ones.

    Raises:
        InvalidProject: a required parameter is missing, or a value does not fit its type.
    """
    values = {name: value for name, value in (given or {}).items() if value is not None}
    _refuse_missing(entry_point, values)
    bound = [
        _bind(entry_point, parameter, values, (working_directory, project_directory))
        for parameter in entry_point.parameters.values()
    ]
    for name, value in values.items():
        if name not in entry_point.parameters:
            text = _text(entry_point, name, value)
            recorded = recorded_value(name, value, text)
            bound.append(BoundParameter(name, text, recorded, secret=recorded != text))
    return tuple(bound)


def check_value(entry_point: EntryPoint, parameter: Parameter, value: Any) -> str:
    """Return ``value`` as text if it fits the type of ``parameter``; paths are not looked up.

    Raises:
        InvalidProject: it does not fit.
    """
    text = _text(entry_point, parameter.name, value)
    misfit = _MISFITS.get(parameter.type)
    if misfit is None:
        return text
    reason = misfit(text)
    if reason is None:
        return text
    shown = recorded_value(parameter.name, value, text)
    raise _wrong(entry_point, parameter, f"{shown!r} is not {reason[0]}.", reason[1], value=shown)


def download_paths(bound: Sequence[BoundParameter], directory: Path, download: Download) -> tuple[BoundParameter, ...]:
    """Fetch what remote ``path`` parameters point at, each into a folder of its own below ``directory``.

    Errors are those of ``download``; a retry downloads again.
    """
    return tuple(
        _downloaded(parameter, directory / f"param_{position}", download) if parameter.remote else parameter
        for position, parameter in enumerate(bound)
    )


def render_command(entry_point: EntryPoint, bound: Sequence[BoundParameter]) -> Command:
    """Put the values into the entry point's command so that each arrives as it is, whatever characters it has.

    Raises:
        InvalidProject: the command has a brace that is no placeholder, or a placeholder where no value can be written.
    """
    declared = {parameter.name: parameter for parameter in bound if parameter.declared is not None}
    secrets: dict[str, str] = {}
    command = ""
    for piece, place in place_fields(_template(entry_point)):
        if piece.field is None:
            command += piece.text
        elif writable(place):
            command += _written(declared[piece.field], place, secrets)
        else:
            raise _command_mistake(
                entry_point,
                f"{{{piece.field}}} stands in {place.value}, where a value can't be written safely.",
                "Pass the value as an argument, plain or in quotes.",
            )
    for parameter in bound:
        if parameter.declared is None:
            key = write_value(parameter.name, Place.WORD)
            command += f" --{key} {_written(parameter, Place.WORD, secrets)}"
    return Command(command, secrets)


def _written(parameter: BoundParameter, place: Place, secrets: dict[str, str]) -> str:
    if not parameter.secret:
        return write_value(parameter.text, place)
    variable = _SECRET_VARIABLE + "".join(char if char.isascii() and char.isalnum() else "_" for char in parameter.name)
    while secrets.get(variable, parameter.text) != parameter.text:  # a-b and a_b
        variable += "_"
    secrets[variable] = parameter.text
    return write_variable(variable, place)


def _template(entry_point: EntryPoint) -> list[Piece]:
    """Read the command as ``str.format`` does; braces that are no placeholder are a mistake."""
    try:
        parsed = list(string.Formatter().parse(entry_point.command))
    except ValueError as error:
        raise _command_mistake(
            entry_point, f"its braces don't match: {error}.", "Write a literal brace twice: {{ or }}."
        ) from error
    pieces: list[Piece] = []
    literal = ""
    for text, name, format_spec, conversion in parsed:
        literal += text
        if name is None:
            continue
        if name not in entry_point.parameters or format_spec or conversion:
            raise _stray_field(entry_point, name, bool(format_spec or conversion))
        pieces += [Piece(literal), Piece(field=name)]
        literal = ""
    return [*pieces, Piece(literal)]


def _stray_field(entry_point: EntryPoint, name: str, formatted: bool) -> InvalidProject:
    if name in entry_point.parameters and formatted:
        return _command_mistake(entry_point, f"{{{name}}} has a format.", f"Write {{{name}}}; values are text.")
    near = closest(name, entry_point.parameters)
    hint = (
        f"Did you mean {{{near}}}?"
        if near
        else "Declare it under parameters, or write literal braces twice: {{ and }}."
    )
    return _command_mistake(entry_point, f"{{{name}}} is not a declared parameter.", hint)


def _command_mistake(entry_point: EntryPoint, what: str, remedy: str) -> InvalidProject:
    what = f"The command of entry point {entry_point.name!r} can't be used: {what}"
    return invalid_at(entry_point.file, entry_point.line, what, remedy=remedy, entry_point=entry_point.name)


def _refuse_missing(entry_point: EntryPoint, values: Mapping[str, Any]) -> None:
    missing = [name for name, parameter in entry_point.parameters.items() if parameter.required and name not in values]
    if not missing:
        return
    plural = "s" if len(missing) > 1 else ""
    listed = ", ".join(map(repr, missing))
    misspelt = {name: closest(name, [key for key in values if key not in entry_point.parameters]) for name in missing}
    hints = [f"{given!r} was given: did you mean {name!r}?" for name, given in misspelt.items() if given is not None]
    raise invalid_at(
        entry_point.file,
        entry_point.line,
        f"Entry point {entry_point.name!r} needs a value for parameter{plural} {listed}.",
        remedy=" ".join(hints) or f"Give {'them' if plural else 'it'} with -P {missing[0]}=VALUE, or add a default.",
        entry_point=entry_point.name,
        parameters=tuple(missing),
    )


def _bind(
    entry_point: EntryPoint, parameter: Parameter, values: Mapping[str, Any], bases: tuple[Path, Path]
) -> BoundParameter:
    given = parameter.name in values
    value = values[parameter.name] if given else parameter.default
    text = check_value(entry_point, parameter, value)
    recorded = recorded_value(parameter.name, value, text)
    unresolved = BoundParameter(parameter.name, text, recorded, parameter, secret=recorded != text)
    local = _local_path(text) if parameter.type == "path" else None
    if local is None:
        return unresolved
    for base in bases[:1] if given else bases:
        if (base / local).exists():
            found = Path(os.path.normpath((base / local).absolute()))
            return replace(unresolved, text=str(found), path=found)
    tried = " or in ".join(str(base) for base in (bases[:1] if given else bases))
    raise _wrong(
        entry_point,
        parameter,
        f"there is no file or folder {recorded!r} in {tried}.",
        "Give a path that exists, or a URI that can be downloaded.",
        value=recorded,
    )


def _downloaded(parameter: BoundParameter, directory: Path, download: Download) -> BoundParameter:
    directory.mkdir(parents=True, exist_ok=True)
    path = download(parameter.text, directory).absolute()
    return replace(parameter, text=str(path), path=path, secret=False)


def _local_path(text: str) -> Path | None:
    """Return the path that ``text`` means on this machine; None when it is a URI of something else."""
    try:
        parts = urlsplit(text)
    except ValueError:  # such as //[x: no URL, so a path
        return Path(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    is_uri = parts.scheme and (parts.netloc or parts.path.startswith("/"))
    return None if is_uri else Path(text)


def _text(entry_point: EntryPoint, name: str, value: Any) -> str:
    text = text_of(value)
    if not name:
        what, remedy = "A parameter has no name.", "Give parameters as NAME=VALUE."
    elif "\0" in text or "\0" in name:
        what, remedy = f"Parameter {name!r} has a NUL character.", "No command line can carry one."
    else:
        return text
    raise invalid_at(entry_point.file, entry_point.line, what, remedy=remedy, entry_point=entry_point.name)


def _wrong(entry_point: EntryPoint, parameter: Parameter, what: str, remedy: str, *, value: str) -> InvalidProject:
    return invalid_at(
        entry_point.file,
        parameter.line,
        f"Parameter {parameter.name!r} of entry point {entry_point.name!r}: {what}",
        remedy=remedy,
        entry_point=entry_point.name,
        parameter=parameter.name,
        value=value,
    )


def _not_a_number(text: str) -> tuple[str, str] | None:
    return _unless(float, text, "a number", "Give a value such as 0.1, 3 or 1e-5.")


def _not_a_whole_number(text: str) -> tuple[str, str] | None:
    return _unless(int, text, "a whole number", "Give a value such as 3 or -1.")


def _unless(kind: Callable[[str], object], text: str, expected: str, remedy: str) -> tuple[str, str] | None:
    try:
        kind(text)
    except ValueError:
        return expected, remedy
    return None


def _not_a_uri(text: str) -> tuple[str, str] | None:
    try:
        has_scheme = bool(urlsplit(text).scheme)
    except ValueError:
        has_scheme = False
    return None if has_scheme else ("a URI", "Give a value such as s3://bucket/key or https://host/path.")


def _not_a_path(text: str) -> tuple[str, str] | None:
    return None if text else ("a path", "Give the path of a file or folder, or a URI.")


# Type → what is wrong with a text (what it is not, and what to give), or None. MLflow checks uri alone.
_MISFITS: Mapping[str, Callable[[str], tuple[str, str] | None]] = {
    "float": _not_a_number,
    "int": _not_a_whole_number,
    "path": _not_a_path,
    "uri": _not_a_uri,
}
