"""Checks on the model itself: its signature, its size and speed, the age of what it stands for."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.demand import Demand, demand_definition, put, settle_age, settle_demand
from headgate.tasks.gates.values import duration_ms, member_value, number_value, plain

_SIZE = re.compile(r"(\d+\.?\d*|\.\d+)\s*([kMGT]i?)?B")
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZES |= {"ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_LATENCY = re.compile(r"(\d+\.?\d*|\.\d+)\s*(us|ms|s)")
_LATENCIES = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class BudgetOf(StrEnum):
    """What a budget limits: the bytes of the model's files, or a percentile of the time of one call."""

    MODEL_SIZE = "model_size"
    LATENCY_P50 = "latency_p50"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"


class Fresh(StrEnum):
    """What must be fresh: the data that the candidate stands for, or the evidence that the gate reads."""

    DATA = "data"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Budget(Demand):
    """A limit on the size or the latency of the candidate.

    Args:
        budget: ``model_size`` (of its files, as the store has them), or ``latency_p50``, ``latency_p95`` or
            ``latency_p99`` (the metrics ``latency_p95_ms`` …, which the built-in evaluators measure).
        at_most: such as ``200MB`` or ``1GiB``; ``40ms`` or ``1.5s``; a plain number is bytes or milliseconds.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.

    Raises:
        InvalidGate: an unknown budget, or a limit that can't be read.
    """

    budget: BudgetOf
    _: KW_ONLY
    at_most: str | float

    def __post_init__(self) -> None:
        settle_demand(self)
        put(self, "budget", member_value(BudgetOf, self.budget, "budget"))
        put(self, "at_most", self._limit_value(self.at_most))
        put(self, "rule", f"{self.budget} <= {self.at_most if isinstance(self.at_most, str) else plain(self.at_most)}")

    def _limit_value(self, value: object) -> str | float:
        if not isinstance(value, str):
            number: str | float = number_value(value, "at_most")
        else:
            number = " ".join(value.split())
            if (_SIZE if self.is_size else _LATENCY).fullmatch(number) is None:
                raise InvalidGate(
                    f"{value!r} is no limit of {self.budget}.",
                    remedy="Write a size such as 200MB or 1GiB." if self.is_size else "Write 40ms or 1.5s.",
                    key="at_most",
                )
        return number

    @property
    def kind(self) -> str:
        return "budget"

    @property
    def is_size(self) -> bool:
        return self.budget is BudgetOf.MODEL_SIZE

    @property
    def metric(self) -> str | None:
        """The metric that the budget limits; None for the size, which the store knows."""
        return None if self.is_size else f"{self.budget}_ms"

    @property
    def limit(self) -> float:
        """The limit in bytes or milliseconds."""
        if not isinstance(self.at_most, str):
            return self.at_most
        found = (_SIZE if self.is_size else _LATENCY).fullmatch(self.at_most)
        assert found is not None, "the constructor saw to it"
        return float(found[1]) * (_SIZES[found[2] or ""] if self.is_size else _LATENCIES[found[2]])

    def definition(self) -> dict[str, Any]:
        return {"budget": self.budget.value, "at_most": self.at_most, **demand_definition(self)}


@dataclass(frozen=True, slots=True)
class Freshness(Demand):
    """The data that the candidate stands for, or the evidence on it, must be recent.

    Args:
        freshness: ``data``: the logical date of the run that made the candidate; ``evidence``: the oldest of the
            measurements that the gate reads.
        max_age: how old it may be.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.

    Raises:
        InvalidGate: something else is to be fresh, or no duration.
    """

    freshness: Fresh
    _: KW_ONLY
    max_age: str | timedelta

    def __post_init__(self) -> None:
        settle_demand(self)
        put(self, "freshness", member_value(Fresh, self.freshness, "freshness"))
        settle_age(self)
        put(self, "rule", f"{self.freshness} not older than {self.max_age}")

    @property
    def kind(self) -> str:
        return "freshness"

    @property
    def max_age_ms(self) -> int:
        return duration_ms(self.max_age, "max_age")

    def definition(self) -> dict[str, Any]:
        return {"freshness": self.freshness.value, "max_age": self.max_age, **demand_definition(self)}


@dataclass(frozen=True, slots=True)
class Signature(Demand):
    """Whoever calls the champion can call the candidate: its signature is compatible with the champion's.

    Args:
        signature: ``compatible``.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.
    """

    signature: str = "compatible"

    def __post_init__(self) -> None:
        settle_demand(self)
        if self.signature != "compatible":
            raise InvalidGate(
                f"signature must be compatible, not {self.signature!r}.",
                remedy="Write signature: compatible; it is compared with the champion's.",
                key="signature",
            )
        put(self, "rule", "signature compatible with the champion's")

    @property
    def kind(self) -> str:
        return "signature"

    @property
    def compares(self) -> bool:
        return True

    def definition(self) -> dict[str, Any]:
        return {"signature": self.signature, **demand_definition(self)}
