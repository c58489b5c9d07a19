"""What every check of a gate has beside its rule: how severe it is, whose it is, why it exists, what errors answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headgate.store.entities import Severity
from headgate.tasks.gates.values import duration_ms, duration_text, member_value, text_value


class OnError(StrEnum):
    """What a check answers that could not be judged. There is no ``pass``: an error never lets anything through."""

    ERROR = "error"
    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand(ABC):
    """One check that is no group.

    Args:
        severity: ``block``, or ``warn``: recorded, never decisive.
        owner: who answers for it, such as a team or an address; None for nobody in particular.
        reason: why it exists, in a sentence.
        on_error: what it answers when it can't be judged: ``error``, ``hold`` or ``reject``; None asks the gate.
    """

    severity: Severity = Severity.BLOCK
    owner: str | None = None
    reason: str | None = None
    on_error: OnError | None = None
    rule: str = field(init=False, repr=False, compare=False, default="")
    """The rule in words, such as ``recall >= 0.95 on holdout``."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What a verdict calls this kind of check."""

    @property
    def compares(self) -> bool:
        """Whether the check compares with the champion."""
        return False

    @abstractmethod
    def definition(self) -> dict[str, Any]:
        """Return the check as plain JSON values, readable as part of a gate file."""


DEMAND_KEYS = ("severity", "owner", "reason", "on_error")


def put(target: object, name: str, value: Any) -> None:
    object.__setattr__(target, name, value)  # the dataclasses are frozen; only their own constructors settle values


def settle_demand(check: Demand) -> None:
    """Bring what every check has into its canonical form; for constructors.

    Raises:
        InvalidGate: a value of the wrong kind.
    """
    put(check, "severity", member_value(Severity, check.severity, "severity"))
    if isinstance(check.reason, str):
        put(check, "reason", " ".join(check.reason.split()))  # YAML folds a long one over lines
    for name in ("owner", "reason"):
        if getattr(check, name) is not None:
            put(check, name, text_value(getattr(check, name), name))
    if check.on_error is not None:
        put(check, "on_error", member_value(OnError, check.on_error, "on_error"))


def settle_texts(check: Demand, *names: str) -> None:
    """Check texts that may be left out."""
    for name in names:
        if getattr(check, name) is not None:
            put(check, name, text_value(getattr(check, name), name))


def settle_age(check: Any) -> None:
    """Bring ``max_age`` into its canonical form."""
    if check.max_age is not None:
        put(check, "max_age", duration_text(duration_ms(check.max_age, "max_age")))


def demand_definition(check: Demand, *names: str) -> dict[str, Any]:
    """Return the severity, and what else was said: the texts of these names, owner, reason, on_error."""
    said = {name: getattr(check, name) for name in (*names, "owner", "reason") if getattr(check, name) is not None}
    if check.on_error is not None:
        said["on_error"] = check.on_error.value
    return {**said, "severity": check.severity.value}
