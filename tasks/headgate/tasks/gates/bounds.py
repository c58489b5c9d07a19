"""Bounds: the four ways in which a number is compared with the one that a check of a gate or of a watch demands."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.demand import put
from headgate.tasks.gates.values import number_value


class Bound(StrEnum):
    """How a number is compared; the value is the key in the file."""

    AT_LEAST = "at_least"
    ABOVE = "above"
    AT_MOST = "at_most"
    BELOW = "below"

    @property
    def symbol(self) -> str:
        return {"at_least": ">=", "above": ">", "at_most": "<=", "below": "<"}[self.value]

    @property
    def upwards(self) -> bool:
        """Whether more is better."""
        return self is Bound.AT_LEAST or self is Bound.ABOVE

    def holds(self, actual: Decimal, demanded: Decimal) -> bool:
        """Say whether a number satisfies the bound; both exact (:func:`exactly`)."""
        if self is Bound.AT_LEAST:
            return actual >= demanded
        if self is Bound.ABOVE:
            return actual > demanded
        if self is Bound.AT_MOST:
            return actual <= demanded
        return actual < demanded


def settle_bound(check: object, subject: str, remedy: str) -> Bound:
    """Bring the one bound that a check has into its canonical form, and return it; for constructors.

    Args:
        check: has an attribute for each bound, of which one is not None.
        subject: names the check in messages.
        remedy: what to do about none or several.

    Raises:
        InvalidGate: it has none or several, or its number is none.
    """
    given = [bound for bound in Bound if getattr(check, bound.value) is not None]
    if len(given) != 1:
        found = "has none of them" if not given else f"has {' and '.join(given)}"
        raise InvalidGate(f"{subject} needs exactly one of at_least, above, at_most, below; it {found}.", remedy=remedy)
    (bound,) = given
    put(check, bound.value, number_value(getattr(check, bound.value), bound.value))
    return bound
