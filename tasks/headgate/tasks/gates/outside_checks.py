"""Checks that something outside the gate answers: a suite of expectations, a Python function, a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Any

from headgate.store.canonical import canonical_json, digest_of
from headgate.store.errors import InvalidGate
from headgate.tasks.gates.demand import Demand, demand_definition, put, settle_age, settle_demand, settle_texts
from headgate.tasks.gates.values import choice_value, duration_ms, text_value

SEVERITIES = ("info", "warning", "critical")
"""Of an expectation, the mildest first, in Great Expectations' words."""

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_MOST_APPROVALS = 100


@dataclass(frozen=True, slots=True)
class Expectations(Demand):
    """Data of the candidate must have met a suite of Great Expectations, by a validation that was recorded.

    Args:
        expectations: the suite's name, as :func:`headgate.tasks.validate_data` recorded it.
        dataset: name of the data that were validated; None for any that belong to the candidate.
        dataset_digest: their digest, where a gate pins it.
        suite_digest: the suite's digest, where a gate pins what it says.
        fail_at: ``critical``, ``warning`` or ``info``: an unmet expectation of this severity or worse rejects.
        max_age: how long ago the validation may have been; None asks the gate.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.
    """

    expectations: str
    _: KW_ONLY
    dataset: str | None = None
    dataset_digest: str | None = None
    suite_digest: str | None = None
    fail_at: str = "critical"
    max_age: str | timedelta | None = None

    def __post_init__(self) -> None:
        settle_demand(self)
        put(self, "expectations", text_value(self.expectations, "expectations"))
        settle_texts(self, "dataset", "dataset_digest", "suite_digest")
        choice_value(self.fail_at, SEVERITIES, "fail_at")
        settle_age(self)
        on = f" by {self.dataset}" if self.dataset else ""
        mildest = "" if self.fail_at == "critical" else f", {self.fail_at} ones too"
        put(self, "rule", f"expectations {self.expectations} met{on}{mildest}")

    @property
    def kind(self) -> str:
        return "expectations"

    @property
    def max_age_ms(self) -> int | None:
        return None if self.max_age is None else duration_ms(self.max_age, "max_age")

    def definition(self) -> dict[str, Any]:
        said = demand_definition(self, "dataset", "dataset_digest", "suite_digest", "max_age")
        return {"expectations": self.expectations, "fail_at": self.fail_at, **said}


@dataclass(frozen=True, slots=True)
class Function(Demand):
    """A Python function answers; see :mod:`headgate.tasks.gates.callables` for what it gets and returns.

    Args:
        callable: ``package.module:function``, importable where the gate decides.
        parameters: plain JSON values that the function gets.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.
    """

    callable: str
    _: KW_ONLY
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settle_demand(self)
        if not isinstance(self.callable, str) or _FUNCTION.fullmatch(self.callable) is None:
            raise InvalidGate(
                f"callable must name a function, not {self.callable!r}.",
                remedy="Write package.module:function.",
                key="callable",
            )
        put(self, "parameters", _json_parameters(self.parameters))
        with_these = f" with {canonical_json(self.parameters)}" if self.parameters else ""
        put(self, "rule", f"{self.callable} says pass{with_these}")

    def __hash__(self) -> int:
        return hash((self.callable, self.key))

    @property
    def kind(self) -> str:
        return "callable"

    @property
    def key(self) -> str:
        """What the function's answer is known by: the function and its parameters."""
        return digest_of({"callable": self.callable, "parameters": self.parameters})

    def definition(self) -> dict[str, Any]:
        said = {"parameters": self.parameters} if self.parameters else {}
        return {"callable": self.callable, **said, **demand_definition(self)}


@dataclass(frozen=True, slots=True)
class Approval(Demand):
    """People must agree: the gate holds until they do.

    An approval is of a verdict that was held for nothing else, and counts for the candidate with the same files, by the
    same definition of the gate, against the same champion. Whoever rejects it, rejects it.

    Args:
        approval: ``required``.
        quorum: how many different people have to approve.
        by: who may; empty for anybody.
        authenticated: whether their names must be known, not only claimed.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.
    """

    approval: str = "required"
    _: KW_ONLY
    quorum: int = 1
    by: tuple[str, ...] = ()
    authenticated: bool = False

    def __post_init__(self) -> None:
        settle_demand(self)
        people = (self.by,) if isinstance(self.by, str) else tuple(self.by)
        put(self, "by", tuple(sorted({text_value(person, "by") for person in people})))
        self._refuse_nonsense()
        number = "" if self.quorum == 1 else f" by {self.quorum} people"
        among = f" of {', '.join(self.by)}" if self.by else ""
        known = ", authenticated" if self.authenticated else ""
        put(self, "rule", f"approved{number}{among}{known}")

    def _refuse_nonsense(self) -> None:
        if self.approval != "required":
            raise InvalidGate(
                f"approval must be required, not {self.approval!r}.", remedy="Write approval: required.", key="approval"
            )
        if isinstance(self.quorum, bool) or not isinstance(self.quorum, int) or not 1 <= self.quorum <= _MOST_APPROVALS:
            raise InvalidGate(
                f"quorum must be a number of people from 1 to {_MOST_APPROVALS}, not {self.quorum!r}.",
                remedy="Write quorum: 2.",
                key="quorum",
            )
        if self.by and len(self.by) < self.quorum:
            raise InvalidGate(
                f"{self.quorum} people have to approve, and only {len(self.by)} may.",
                remedy="Name more people under by, or ask for fewer.",
                key="quorum",
            )
        if not isinstance(self.authenticated, bool):
            raise InvalidGate(
                f"authenticated must be true or false, not {self.authenticated!r}.",
                remedy="Write true where a claimed name is not enough.",
                key="authenticated",
            )

    @property
    def kind(self) -> str:
        return "approval"

    def definition(self) -> dict[str, Any]:
        by = {"by": list(self.by)} if self.by else {}
        known = {"authenticated": True} if self.authenticated else {}
        return {"approval": self.approval, "quorum": self.quorum, **by, **known, **demand_definition(self)}


def _json_parameters(parameters: object) -> dict[str, Any]:
    problem = InvalidGate(
        f"parameters must be names with plain values, not {parameters!r}.",
        remedy="Give texts, numbers, lists and mappings of them.",
        key="parameters",
    )
    if not isinstance(parameters, Mapping) or not all(isinstance(name, str) for name in parameters):
        raise problem
    try:
        canonical_json(dict(parameters))
    except (TypeError, ValueError) as error:  # NaN, or what JSON doesn't have
        raise problem from error
    return dict(parameters)
