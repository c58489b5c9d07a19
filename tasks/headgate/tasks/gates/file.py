"""The gate file: YAML in, a :class:`~headgate.tasks.gates.model.Gate` out, every mistake with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.store.errors import InvalidGate
from headgate.tasks.beside import beside
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.gates.model import MAX_CHECKS, MAX_DEPTH, Gate
from headgate.tasks.gates.origin import Origin
from headgate.tasks.yaml_reading import NotYaml, TooLarge, YamlReading, compose

_MAX_BYTES = 1_000_000
_MAX_NODES = 20 * MAX_CHECKS
_MAX_NESTING = 2 * MAX_DEPTH + 6
_NEEDED = {
    "gate": "A gate needs a name and checks.",
    "watch": "A watch needs a name and checks.",
    "guards": "Write guards: and - model: … below it.",
}


def load_gate(path: str | Path) -> Gate:
    """Read a gate file.

    Args:
        path: the file, usually ``gate.yaml``.

    Returns:
        The gate; equal, in definition and digest, to the same gate built in Python.

    Raises:
        InvalidGate: the file is not there, is not YAML, or says something that a gate can't mean; with ``file`` and
            ``line``.
    """
    return parse_gate(read_file(path), file=str(path))


def gate_of(said: str | Path | Mapping[str, Any] | Gate, folder: str | Path) -> Gate:
    """Return the gate that a task names: by the path of its file, from ``folder``, by its definition, or itself.

    Raises:
        InvalidGate: the file can't be read, or it says something that a gate can't mean.
    """
    if isinstance(said, str | Path):
        return load_gate(beside(folder, said))
    return gate_from_definition(said) if isinstance(said, Mapping) else said


def read_file(path: str | Path, what: str = "gate") -> bytes:
    """Return the content of a gate file, or of one like it, or raise InvalidGate."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidGate(
            f"The {what} file {path} can't be read: {error.strerror}.",
            remedy=f"Give the path of a {what} file. A relative one starts from where you are; one that is named in "
            "another file, from that file's folder.",
            file=str(path),
            line=None,
        ) from error


def parse_gate(content: str | bytes, *, file: str = "gate.yaml") -> Gate:
    """Read a gate from the content of a gate file; ``file`` is what errors call it. Raises as :func:`load_gate`."""
    return gate_from_definition(*read_definition(content, file=file))


def read_definition(content: str | bytes, *, file: str, what: str = "gate") -> tuple[Any, Origin]:
    """Return the plain values of a gate file, or of one like it, and where in the file each of them stands.

    Args:
        content: of the file.
        file: what errors call it.
        what: the kind of the file: ``gate``, ``watch`` or ``guards``.

    Raises:
        InvalidGate: the content is not YAML, or is too large.
    """

    def refusal(line: int | None, message: str, remedy: str) -> InvalidGate:
        place = file if line is None else f"{file}:{line}"
        return InvalidGate(f"{place}: {message}", remedy=remedy, file=file, line=line)

    def refuse(line: int, message: str, remedy: str) -> None:
        raise refusal(line, f"{message[:1].lower()}{message[1:]}", remedy)

    if len(content) > _MAX_BYTES:
        raise refusal(None, f"this is larger than a {what} file can be.", f"Give a {what} file.")
    try:
        node = compose(content)
    except NotYaml as error:
        remedy = f"Write the {what} file as UTF-8 text." if error.line is None else "Check indentation and quotes."
        raise refusal(error.line, f"this is not YAML: {error.reason}.", remedy) from error
    if node is None:
        raise refusal(1, "the file is empty.", _NEEDED[what])
    reading = YamlReading(refuse, most_nodes=_MAX_NODES, deepest=_MAX_NESTING)
    try:
        value = reading.value(node)
    except TooLarge as error:
        raise refusal(error.line, f"the {what} file is too large or too deep.", "Split it into several.") from error
    return value, Origin(file, reading.lines, reading.texts, what)
