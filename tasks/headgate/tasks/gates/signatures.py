"""Whether a model can stand in for another: its signature accepts what the other's does, and gives what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.tasks.model_format.signature import ModelSignature

# What every value of a type also is. MLflow converts nothing else without a loss.
_WIDER = {
    "boolean": (),
    "integer": ("long", "double"),
    "long": (),
    "float": ("double",),
    "double": (),
}


def incompatibilities(candidate: ModelSignature, champion: ModelSignature) -> tuple[str, ...]:
    """Return in which ways the candidate can't stand in for the champion, in words; nothing when it can.

    Callers send what the champion takes: the candidate must need no column that they don't send, and take each in the
    type that they send it in. They read what the champion gives: the candidate must give it under the same names and in
    the same types. A part that a signature does not tell is a difference, unless neither tells it.
    """
    return (
        *_part("input", candidate.inputs, champion.inputs, _inputs),
        *_part("output", candidate.outputs, champion.outputs, _outputs),
        *_params(candidate.params or (), champion.params or ()),
    )


def _part(
    what: str, mine: Sequence[Mapping[str, Any]] | None, theirs: Sequence[Mapping[str, Any]] | None, compare: Any
) -> list[str]:
    if mine is None or theirs is None:
        return [] if mine is theirs else [f"only the {'champion' if mine is None else 'candidate'} tells its {what}s"]
    if _named(mine) != _named(theirs):
        return [f"one has {what}s by name, the other by position"]
    found: list[str] = compare(_by_name(mine), _by_name(theirs))
    return found


def _inputs(mine: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    breaks = []
    for name, wanted in mine.items():
        sent = theirs.get(name)
        if sent is None:
            if _required(wanted):
                breaks.append(f"it needs the input {name}, which the champion does not")
        elif not _accepts(wanted, sent):
            breaks.append(f"it takes {name} as {_type(wanted)}, the champion as {_type(sent)}")
        elif _required(wanted) and not _required(sent):
            breaks.append(f"it needs the input {name}, which the champion can do without")
    return breaks


def _outputs(mine: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    breaks = []
    for name, expected in theirs.items():
        given = mine.get(name)
        if given is None:
            breaks.append(f"it does not give the output {name}")
        elif not _accepts(expected, given):
            breaks.append(f"it gives {name} as {_type(given)}, the champion as {_type(expected)}")
    return breaks


def _params(mine: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> list[str]:
    taken = {param["name"]: param for param in mine}
    breaks = []
    for param in theirs:
        same = taken.get(param["name"])
        if same is None:
            breaks.append(f"it does not take the param {param['name']}")
        elif (same.get("type"), same.get("shape")) != (param.get("type"), param.get("shape")):
            breaks.append(f"it takes the param {param['name']} as {same.get('type')}, not as {param.get('type')}")
    return breaks


def _accepts(wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Say whether every value of one type can be taken as another."""
    if wanted.get("type") == "tensor" or sent.get("type") == "tensor":
        return wanted.get("tensor-spec") == sent.get("tensor-spec")
    if wanted.get("type") == "any":
        return True
    nested = ("items", "properties", "values")
    if any(wanted.get(part) != sent.get(part) for part in nested):
        return False
    return wanted.get("type") == sent.get("type") or wanted.get("type") in _WIDER.get(str(sent.get("type")), ())


def _type(column: Mapping[str, Any]) -> str:
    spec = column.get("tensor-spec")
    return f"tensor {spec.get('dtype')} {spec.get('shape')}" if isinstance(spec, Mapping) else str(column.get("type"))


def _required(column: Mapping[str, Any]) -> bool:
    return bool(column.get("required", True))


def _named(columns: Sequence[Mapping[str, Any]]) -> bool:
    return any(column.get("name") is not None for column in columns)


def _by_name(columns: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(column.get("name", f"number {position + 1}")): column for position, column in enumerate(columns)}
