"""What a gate demands of a candidate: checks, composed by ``all_of`` and ``any_of``.

A gate is data: the same object whether it was read from ``gate.yaml`` or built in Python, with one canonical definition
and one digest. Everything that would let a gate pass by accident (a check without a bound, a group that can only warn,
a comparison that does not say what happens without a champion) is refused when the object is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from headgate.store.canonical import digest_of
from headgate.store.entities import Severity
from headgate.store.errors import InvalidGate
from headgate.tasks.gates.bounds import Bound as Bound
from headgate.tasks.gates.demand import Demand as Demand
from headgate.tasks.gates.demand import OnError as OnError
from headgate.tasks.gates.demand import put
from headgate.tasks.gates.metric_checks import Improvement as Improvement
from headgate.tasks.gates.metric_checks import MetricCheck as MetricCheck
from headgate.tasks.gates.metric_checks import PairedTest as PairedTest
from headgate.tasks.gates.metric_checks import Threshold as Threshold
from headgate.tasks.gates.metric_checks import prefix_of, rows_prefix_of
from headgate.tasks.gates.model_checks import Budget as Budget
from headgate.tasks.gates.model_checks import Freshness as Freshness
from headgate.tasks.gates.model_checks import Signature as Signature
from headgate.tasks.gates.outside_checks import Approval as Approval
from headgate.tasks.gates.outside_checks import Expectations as Expectations
from headgate.tasks.gates.outside_checks import Function as Function
from headgate.tasks.gates.values import duration_ms, duration_text, member_value, text_value

MAX_DEPTH = 16
MAX_CHECKS = 500


class NoChampion(StrEnum):
    """How a check against the champion answers when there is none."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, init=False)
class AllOf:
    """A group that passes when every blocking check in it passes."""

    checks: tuple[Check, ...]

    def __init__(self, checks: Iterable[Check]) -> None:
        put(self, "checks", _members(checks, "all_of"))

    def definition(self) -> dict[str, Any]:
        return {"all_of": [check.definition() for check in self.checks]}


@dataclass(frozen=True, slots=True, init=False)
class AnyOf:
    """A group that passes when one blocking check in it passes and none is an error."""

    checks: tuple[Check, ...]

    def __init__(self, checks: Iterable[Check]) -> None:
        put(self, "checks", _members(checks, "any_of"))

    def definition(self) -> dict[str, Any]:
        return {"any_of": [check.definition() for check in self.checks]}


Group: TypeAlias = AllOf | AnyOf
Check: TypeAlias = Demand | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Gate:
    """A named set of demands that a candidate has to meet before it is promoted.

    Args:
        name: what verdicts, guards and error messages call it.
        checks: the outermost group.
        expires_after: how long a verdict may be used after it was decided (``24h``, or a timedelta).
        when_no_champion: how checks against the champion answer when there is none: ``pass``, ``hold`` or ``reject``.
            Must be said when the gate has such a check.
        max_age: how old a measurement of the candidate may be when the gate decides; None for any age.
        on_error: what checks answer that can't be judged and don't say it themselves: ``error``, ``hold`` or
            ``reject``; None is ``error``.
        owner: who answers for the gate.

    Raises:
        InvalidGate: the gate can't decide anything as it is written.
    """

    name: str
    checks: Group
    _: KW_ONLY
    expires_after: str | timedelta = "24h"
    when_no_champion: NoChampion | None = None
    max_age: str | timedelta | None = None
    on_error: OnError | None = None
    owner: str | None = None
    digest: str = field(init=False, repr=False, compare=False, default="")
    """SHA-256 (hex) of the canonical definition as JSON with sorted keys."""
    canonical: Mapping[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """The canonical definition, made once: verdicts share it, so it is only read."""

    def __post_init__(self) -> None:
        put(self, "name", text_value(self.name, "name"))
        if not isinstance(self.checks, AllOf | AnyOf):
            raise InvalidGate(
                f"The checks of gate {self.name!r} must be one group, not {self.checks!r}.",
                remedy="Put them in an all_of or an any_of.",
            )
        put(self, "expires_after", duration_text(duration_ms(self.expires_after, "expires_after")))
        if self.max_age is not None:
            put(self, "max_age", duration_text(duration_ms(self.max_age, "max_age")))
        if self.when_no_champion is not None:
            put(self, "when_no_champion", member_value(NoChampion, self.when_no_champion, "when_no_champion"))
        if self.on_error is not None:
            put(self, "on_error", member_value(OnError, self.on_error, "on_error"))
        if self.owner is not None:
            put(self, "owner", text_value(self.owner, "owner"))
        _refuse_oversize(self.checks)
        self._refuse_unsaid_champion()
        put(self, "canonical", self.definition())
        put(self, "digest", digest_of(self.canonical))

    def _refuse_unsaid_champion(self) -> None:
        compared = next((check for check in leaves(self.checks) if check.compares), None)
        if compared is not None and self.when_no_champion is None:
            what = repr(compared.metric) if isinstance(compared, Improvement) else f"the {compared.kind}"
            raise InvalidGate(
                f"Gate {self.name!r} compares {what} with the champion but does not say what happens "
                "when there is none.",
                remedy="Set when_no_champion to pass, hold or reject.",
            )

    @property
    def expires_after_ms(self) -> int:
        return duration_ms(self.expires_after, "expires_after")

    @property
    def max_age_ms(self) -> int | None:
        return None if self.max_age is None else duration_ms(self.max_age, "max_age")

    @property
    def compares(self) -> bool:
        """Whether a check compares the candidate with the champion."""
        return any(check.compares for check in leaves(self.checks))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of all metrics that the gate reads, sorted; those of slices are :attr:`metric_prefixes`."""
        whole = (check for check in leaves(self.checks) if not (isinstance(check, MetricCheck) and check.slices))
        keys = {check.metric for check in whole if isinstance(check, Threshold | Improvement | Budget)}
        return tuple(sorted(key for key in keys if key is not None))

    @property
    def metric_prefixes(self) -> tuple[str, ...]:
        """What the keys of the slices that the gate reads start with, sorted; and those of how many rows they have."""
        sliced = (check for check in leaves(self.checks) if isinstance(check, MetricCheck) and check.slices is not None)
        return tuple(sorted({prefix for check in sliced for prefix in (prefix_of(check), rows_prefix_of(check))}))

    def definition(self) -> dict[str, Any]:
        """Return the canonical definition: plain JSON values, every default said, readable as a gate file."""
        definition: dict[str, Any] = {"name": self.name, "expires_after": self.expires_after}
        if self.when_no_champion is not None:
            definition["when_no_champion"] = self.when_no_champion.value
        if self.max_age is not None:
            definition["max_age"] = self.max_age
        if self.on_error is not None:
            definition["on_error"] = self.on_error.value
        if self.owner is not None:
            definition["owner"] = self.owner
        return {**definition, "checks": self.checks.definition()}


def leaves(check: Check) -> Iterator[Demand]:
    """Yield the checks of a tree that are not groups, in the order in which they are written."""
    if isinstance(check, AllOf | AnyOf):
        for member in check.checks:
            yield from leaves(member)
    else:
        yield check


def _members(checks: Iterable[Check], kind: str) -> tuple[Check, ...]:
    members = tuple(checks)
    for member in members:
        if not isinstance(member, Demand | AllOf | AnyOf):
            raise InvalidGate(f"{kind} holds {member!r}, which is not a check.", remedy="Put checks or groups in it.")
    if all(isinstance(member, Demand) and member.severity is Severity.WARN for member in members):
        raise InvalidGate(
            f"{kind} has no check that can block, so it would always pass.",
            remedy="Give it at least one check with severity block.",
        )
    return members


def _refuse_oversize(checks: Group) -> None:
    # Breadth first, so that a deep tree ends the walk instead of the interpreter's stack.
    level: list[Check] = [checks]
    depth = seen = 0
    while level:
        depth += 1
        seen += len(level)
        if depth > MAX_DEPTH or seen > MAX_CHECKS:
            raise InvalidGate(
                f"The gate has more than {MAX_CHECKS} checks or more than {MAX_DEPTH} groups within one another.",
                remedy="Split it into several gates.",
            )
        level = [member for group in level if isinstance(group, AllOf | AnyOf) for member in group.checks]
