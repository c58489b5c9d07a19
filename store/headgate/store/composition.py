"""How the outcomes of checks compose, for the gate that decides and for whoever reads what it decided.

========  =============================================================================================
all_of    ``error`` if one is an error, else ``reject`` if one rejects, else ``hold`` if one holds, else ``pass``
any_of    ``error`` if one is an error, else ``pass`` if one passes, else ``hold`` if one holds, else ``reject``
========  =============================================================================================

Checks with severity ``warn`` never decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from headgate.store.entities import CheckResult, Outcome, Severity

_FIRST = {
    "all_of": (Outcome.ERROR, Outcome.REJECT, Outcome.HOLD, Outcome.PASS),
    "any_of": (Outcome.ERROR, Outcome.PASS, Outcome.HOLD, Outcome.REJECT),
}


def group_outcome(kind: str, outcomes: Collection[Outcome]) -> Outcome:
    """Return what a group says, ``all_of`` or ``any_of``, whose blocking checks and groups say ``outcomes``."""
    # A group without a decisive check can't be built; were one to come here all the same, it must not pass.
    return next((outcome for outcome in _FIRST.get(kind, ()) if outcome in outcomes), Outcome.ERROR)


def composed(checks: Iterable[CheckResult]) -> Outcome:
    """Return what a gate says whose checks, with the paths of a verdict (``all_of[0].any_of[1]``), say this."""
    groups: dict[str, set[Outcome]] = {}
    for check in checks:
        said = groups.setdefault(_group_of(check.path), set())
        if check.severity is Severity.BLOCK:
            said.add(check.outcome)
    outcome = Outcome.ERROR
    while groups:
        inmost = max(groups, key=lambda group: group.count("."))
        path, _, kind = inmost.rpartition(".")
        outcome = group_outcome(kind, groups.pop(inmost))
        if path:
            groups.setdefault(_group_of(path), set()).add(outcome)
    return outcome


def _group_of(path: str) -> str:
    return path.rpartition("[")[0]
