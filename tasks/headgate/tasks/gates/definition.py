"""From plain values (a YAML file's, a JSON column's) to a :class:`~headgate.tasks.gates.model.Gate`.

The reader knows which keys exist and which kind of value each takes; what the values mean is checked by the gate's own
classes. Every mistake is an :class:`~headgate.store.errors.InvalidGate` that names the place and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

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
from headgate.tasks.gates.origin import Origin, kind_of
from headgate.tasks.places import Place

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
    keys = origin.mapping(definition, (), "A gate")
    origin.refuse_unknown(keys, GATE_KEYS, ())
    for needed in ("name", "checks"):
        if needed not in keys:
            raise origin.mistake((), f"the gate has no `{needed}`.", f"Add `{needed}:` at the top of the gate.")
    optional: dict[str, Any] = {name: origin.text(keys[name], (name,)) for name in _GATE_TEXTS if name in keys}
    checks = _group(keys["checks"], ("checks",), origin)
    name = origin.text(keys["name"], ("name",))
    return origin.built((), lambda: Gate(name, checks, **optional))


def _group(value: object, where: Place, origin: Origin) -> AllOf | AnyOf:
    keys = origin.mapping(value, where, "checks")
    origin.refuse_unknown(keys, _CHECK_KEYS, where)
    if not keys.keys() & _GROUPS.keys():
        raise origin.mistake(where, "`checks` must hold an `all_of` or an `any_of`.", "Write all_of: above the checks.")
    check = _check(keys, where, origin)
    assert isinstance(check, AllOf | AnyOf)
    return check


def _check(value: object, where: Place, origin: Origin) -> Check:
    if len(where) > 2 * MAX_DEPTH + 2:
        raise origin.mistake(where, "too many groups stand within one another.", "Split the gate into several.")
    keys = origin.mapping(value, where, "A check")
    origin.refuse_unknown(keys, _CHECK_KEYS, where)
    for kind, group in _GROUPS.items():
        if kind in keys:
            origin.refuse_unknown(keys, (kind,), where, of=f"beside `{kind}`")
            members = _members(keys[kind], (*where, kind), origin)
            return origin.built((*where, kind), partial(group, members))
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


def _members(value: object, where: Place, origin: Origin) -> list[Check]:
    if not isinstance(value, list | tuple):
        raise origin.mistake(
            where, f"`{where[-1]}` must be a list of checks, not {kind_of(value)}.", "Start each check with `- `."
        )
    if len(value) > MAX_CHECKS:
        raise origin.mistake(where, f"there are {len(value)} checks.", f"A gate holds at most {MAX_CHECKS}.")
    return [_check(member, (*where, index), origin) for index, member in enumerate(value)]


_COMPARED = ("by", "higher_is_better", "test", "confidence")


def _threshold(keys: Mapping[str, Any], where: Place, origin: Origin) -> Threshold:
    origin.refuse_unknown(keys, (*THRESHOLD_KEYS, *_COMPARED), where, of="in a check of a metric")
    if stray := [name for name in _COMPARED if name in keys]:
        raise origin.mistake(
            (*where, stray[0]),
            f"`{stray[0]}` belongs to a comparison with the champion.",
            "Add `improves_on: champion`, or use at_least, above, at_most or below.",
        )
    values: dict[str, Any] = _metric_values(keys, where, origin)
    values.update({b.value: origin.number(keys[b.value], (*where, b.value)) for b in Bound if b.value in keys})
    return origin.built(where, lambda: Threshold(**values))


def _improvement(keys: Mapping[str, Any], where: Place, origin: Origin) -> Improvement:
    origin.refuse_unknown(keys, IMPROVEMENT_KEYS, where, of="in a comparison with the champion")
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
        values["by"] = by if isinstance(by, str) and "%" in by else origin.number(by, (*where, "by"))
    if "confidence" in keys:
        values["confidence"] = origin.number(keys["confidence"], (*where, "confidence"))
    if "test" in keys:
        values["test"] = origin.text(keys["test"], (*where, "test"))
    return origin.built(where, lambda: Improvement(**values))


def _other(kind: str, keys: Mapping[str, Any], where: Place, origin: Origin) -> Demand:
    origin.refuse_unknown(keys, OTHER_KEYS[kind], where, of=f"in a check with `{kind}`")
    values: dict[str, Any] = {}
    for name in keys:
        place = (*where, name)
        if name in _NO_TEXTS:
            values[name] = keys[name]
        elif name == "by":
            values[name] = _people(keys[name], place, origin)
        elif name == "at_most" and isinstance(keys[name], int | float):
            values[name] = origin.number(keys[name], place)
        else:
            values[name] = origin.text(keys[name], place)
    if kind in ("budget", "freshness") and (missing := {"budget": "at_most", "freshness": "max_age"}[kind]) not in keys:
        raise origin.mistake(where, f"the check of `{kind}` has no `{missing}`.", f"Add `{missing}:`.")
    return origin.built(where, lambda: _OTHER[kind](**values))


def _people(value: object, where: Place, origin: Origin) -> list[str]:
    listed = value if isinstance(value, list | tuple) else [value]
    return [origin.text(person, (*where, index)) for index, person in enumerate(listed)]


def _metric_values(keys: Mapping[str, Any], where: Place, origin: Origin) -> dict[str, str]:
    return {name: origin.text(keys[name], (*where, name)) for name in _METRIC_KEYS if name in keys}
