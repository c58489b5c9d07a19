"""From plain values (a YAML file's, a JSON column's) to a :class:`~headgate.tasks.gates.model.Gate`.

The reader knows which keys exist and which kind of value each takes; what the values mean is checked by the gate's own
classes. Every mistake is an :class:`~headgate.store.errors.InvalidGate` that names the place and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.demand import DEMAND_KEYS, Demand
from headgate.tasks.gates.model import (
    MAX_CHECKS,
    MAX_DEPTH,
    AllOf,
    AnyOf,
    Approval,
    Bound,
    Budget,
    Check,
    Expectations,
    Freshness,
    Function,
    Gate,
    Improvement,
    Signature,
    Threshold,
)

_Built = TypeVar("_Built")

Where: TypeAlias = tuple[str | int, ...]
"""A place in a gate's tree of values, such as ``("checks", "all_of", 0, "metric")``."""

_GATE_TEXTS = ("expires_after", "when_no_champion", "max_age", "on_error", "owner")
GATE_KEYS = ("name", *_GATE_TEXTS, "checks")
_METRIC_KEYS = ("metric", "dataset", "dataset_digest", "slices", "max_age", *DEMAND_KEYS)
THRESHOLD_KEYS = (*_METRIC_KEYS, *(bound.value for bound in Bound))
IMPROVEMENT_KEYS = (*_METRIC_KEYS, "improves_on", "by", "higher_is_better", "test", "confidence")
OTHER_KEYS: Mapping[str, tuple[str, ...]] = {
    "budget": ("budget", "at_most", *DEMAND_KEYS),
    "freshness": ("freshness", "max_age", *DEMAND_KEYS),
    "signature": ("signature", *DEMAND_KEYS),
    "expectations": (
        *("expectations", "dataset", "dataset_digest", "suite_digest", "fail_at", "max_age"),
        *DEMAND_KEYS,
    ),
    "callable": ("callable", "parameters", *DEMAND_KEYS),
    "approval": ("approval", "quorum", "by", "authenticated", *DEMAND_KEYS),
}
"""The keys of each kind of check that is not about a metric; the first one makes it that kind."""
_KINDS = ("metric", *OTHER_KEYS)
_OTHER: Mapping[str, type[Demand]] = {
    "budget": Budget,
    "freshness": Freshness,
    "signature": Signature,
    "expectations": Expectations,
    "callable": Function,
    "approval": Approval,
}
_NO_TEXTS = ("parameters", "quorum", "authenticated")  # which their own class checks
_CHECK_KEYS = tuple(
    dict.fromkeys(
        (*THRESHOLD_KEYS, *IMPROVEMENT_KEYS, *(k for keys in OTHER_KEYS.values() for k in keys), "all_of", "any_of")
    )
)
_GROUPS: dict[str, Callable[[Iterable[Check]], AllOf | AnyOf]] = {"all_of": AllOf, "any_of": AnyOf}


@dataclass(frozen=True)
class Origin:
    """Where the values came from, so that a mistake can be shown there.

    Args:
        file: path of the file, as the user gave it; None for values that were not read from a file.
        lines: line (from 1) of each place in the file.
        texts: what was written at each place, where YAML read a plain word as a number.
    """

    file: str | None = None
    lines: Mapping[Where, int] = field(default_factory=dict)
    texts: Mapping[Where, str] = field(default_factory=dict)

    def line_of(self, where: Where) -> int | None:
        """Return the line of a place, or of the nearest place around it."""
        for length in range(len(where), -1, -1):
            if where[:length] in self.lines:
                return self.lines[where[:length]]
        return None

    def mistake(self, where: Where, message: str, remedy: str) -> InvalidGate:
        """Return the error that shows a mistake at its place."""
        line = self.line_of(where)
        if self.file is not None:
            place = self.file if line is None else f"{self.file}:{line}"
        else:
            place = f"gate definition at {_path_text(where)}"
        return InvalidGate(f"{place}: {message}", remedy=remedy, file=self.file, line=line)


def gate_from_definition(definition: object, origin: Origin | None = None) -> Gate:
    """Build a gate from plain values, in the form of a gate file or of :meth:`Gate.definition`.

    Args:
        definition: a mapping with ``name`` and ``checks``, and optionally ``expires_after``, ``when_no_champion`` and
            ``max_age``.
        origin: where the values came from, for error messages.

    Raises:
        InvalidGate: an unknown or missing key, a value of the wrong kind, or a gate that can't decide anything; with
            ``file`` and ``line`` where they are known.
    """
    origin = origin or Origin()
    keys = _mapping(definition, (), origin, "A gate")
    _refuse_unknown(keys, GATE_KEYS, (), origin)
    for needed in ("name", "checks"):
        if needed not in keys:
            raise origin.mistake((), f"the gate has no `{needed}`.", f"Add `{needed}:` at the top of the gate.")
    optional: dict[str, Any] = {name: _text(keys[name], (name,), origin) for name in _GATE_TEXTS if name in keys}
    checks = _group(keys["checks"], ("checks",), origin)
    name = _text(keys["name"], ("name",), origin)
    return _built((), origin, lambda: Gate(name, checks, **optional))


def _group(value: object, where: Where, origin: Origin) -> AllOf | AnyOf:
    keys = _mapping(value, where, origin, "checks")
    _refuse_unknown(keys, _CHECK_KEYS, where, origin)
    if not keys.keys() & _GROUPS.keys():
        raise origin.mistake(where, "`checks` must hold an `all_of` or an `any_of`.", "Write all_of: above the checks.")
    check = _check(keys, where, origin)
    assert isinstance(check, AllOf | AnyOf)
    return check


def _check(value: object, where: Where, origin: Origin) -> Check:
    if len(where) > 2 * MAX_DEPTH + 2:
        raise origin.mistake(where, "too many groups stand within one another.", "Split the gate into several.")
    keys = _mapping(value, where, origin, "A check")
    _refuse_unknown(keys, _CHECK_KEYS, where, origin)
    for kind, group in _GROUPS.items():
        if kind in keys:
            _refuse_unknown(keys, (kind,), where, origin, of=f"beside `{kind}`")
            members = _members(keys[kind], (*where, kind), origin)
            return _built((*where, kind), origin, partial(group, members))
    kinds = [kind for kind in _KINDS if kind in keys]
    if not kinds:
        others = ", ".join(OTHER_KEYS)
        raise origin.mistake(
            where, "the check names no `metric`.", f"Add `metric:` with the metric's key, or one of {others}."
        )
    if len(kinds) > 1:
        raise origin.mistake(
            (*where, kinds[1]), f"one check has both `{kinds[0]}` and `{kinds[1]}`.", "Make two checks of it."
        )
    if kinds[0] != "metric":
        return _other(kinds[0], keys, where, origin)
    return _improvement(keys, where, origin) if "improves_on" in keys else _threshold(keys, where, origin)


def _members(value: object, where: Where, origin: Origin) -> list[Check]:
    if not isinstance(value, list | tuple):
        raise origin.mistake(
            where, f"`{where[-1]}` must be a list of checks, not {_kind(value)}.", "Start each check with `- `."
        )
    if len(value) > MAX_CHECKS:
        raise origin.mistake(where, f"there are {len(value)} checks.", f"A gate holds at most {MAX_CHECKS}.")
    return [_check(member, (*where, index), origin) for index, member in enumerate(value)]


_COMPARED = ("by", "higher_is_better", "test", "confidence")


def _threshold(keys: Mapping[str, Any], where: Where, origin: Origin) -> Threshold:
    _refuse_unknown(keys, (*THRESHOLD_KEYS, *_COMPARED), where, origin, of="in a check of a metric")
    if stray := [name for name in _COMPARED if name in keys]:
        raise origin.mistake(
            (*where, stray[0]),
            f"`{stray[0]}` belongs to a comparison with the champion.",
            "Add `improves_on: champion`, or use at_least, above, at_most or below.",
        )
    values: dict[str, Any] = _metric_values(keys, where, origin)
    values.update({b.value: _number(keys[b.value], (*where, b.value), origin) for b in Bound if b.value in keys})
    return _built(where, origin, lambda: Threshold(**values))


def _improvement(keys: Mapping[str, Any], where: Where, origin: Origin) -> Improvement:
    _refuse_unknown(keys, IMPROVEMENT_KEYS, where, origin, of="in a comparison with the champion")
    if keys["improves_on"] != "champion":
        raise origin.mistake(
            (*where, "improves_on"),
            f"`improves_on` must be `champion`, not {keys['improves_on']!r}.",
            "A candidate is compared with the current champion of the target.",
        )
    values: dict[str, Any] = _metric_values(keys, where, origin)
    if "higher_is_better" in keys:
        values["higher_is_better"] = keys["higher_is_better"]
    if "by" in keys:
        by = keys["by"]
        values["by"] = by if isinstance(by, str) and "%" in by else _number(by, (*where, "by"), origin)
    if "confidence" in keys:
        values["confidence"] = _number(keys["confidence"], (*where, "confidence"), origin)
    if "test" in keys:
        values["test"] = _text(keys["test"], (*where, "test"), origin)
    return _built(where, origin, lambda: Improvement(**values))


def _other(kind: str, keys: Mapping[str, Any], where: Where, origin: Origin) -> Demand:
    _refuse_unknown(keys, OTHER_KEYS[kind], where, origin, of=f"in a check with `{kind}`")
    values: dict[str, Any] = {}
    for name in keys:
        place = (*where, name)
        if name in _NO_TEXTS:
            values[name] = keys[name]
        elif name == "by":
            values[name] = _people(keys[name], place, origin)
        elif name == "at_most" and isinstance(keys[name], int | float):
            values[name] = _number(keys[name], place, origin)
        else:
            values[name] = _text(keys[name], place, origin)
    if kind in ("budget", "freshness") and (missing := {"budget": "at_most", "freshness": "max_age"}[kind]) not in keys:
        raise origin.mistake(where, f"the check of `{kind}` has no `{missing}`.", f"Add `{missing}:`.")
    return _built(where, origin, lambda: _OTHER[kind](**values))


def _people(value: object, where: Where, origin: Origin) -> list[str]:
    listed = value if isinstance(value, list | tuple) else [value]
    return [_text(person, (*where, index), origin) for index, person in enumerate(listed)]


def _metric_values(keys: Mapping[str, Any], where: Where, origin: Origin) -> dict[str, str]:
    return {name: _text(keys[name], (*where, name), origin) for name in _METRIC_KEYS if name in keys}


def _built(where: Where, origin: Origin, build: Callable[[], _Built]) -> _Built:
    try:
        return build()
    except InvalidGate as error:
        key = error.attributes.get("key")
        place = (*where, key) if key is not None else where
        raise origin.mistake(place, error.message, error.remedy) from error


def _mapping(value: object, where: Where, origin: Origin, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise origin.mistake(where, f"{what} must be keys and values, not {_kind(value)}.", "Write `key: value` lines.")
    return value


def _refuse_unknown(
    keys: Mapping[str, Any], known: Iterable[str], where: Where, origin: Origin, *, of: str = "here"
) -> None:
    known = tuple(known)
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
            guess = f"Did you mean `{near[0]}`? " if near else ""
            raise origin.mistake(
                (*where, key), f"unknown key `{key}` {of}.", f"{guess}The keys {of} are: {', '.join(known)}."
            )


def _text(value: object, where: Where, origin: Origin) -> str:
    if isinstance(value, str):
        return value
    if where in origin.texts and not isinstance(value, bool) and value is not None:
        return origin.texts[where]  # an unquoted 20251121 or 12e45678 is a name or a digest here, not a number
    raise origin.mistake(where, f"`{where[-1]}` must be a text, not {_kind(value)}.", "Put the value in quotes.")


def _number(value: object, where: Where, origin: Origin) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise origin.mistake(
        where, f"`{where[-1]}` must be a number, not {_kind(value)}.", "Write a plain number such as 0.95."
    )


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    return f"{value!r}"


def _path_text(where: Where) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "its top"
