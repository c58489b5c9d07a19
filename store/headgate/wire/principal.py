"""Who sends a request, and what they may do.

Roles are ordered: each may do what those before it may. A *scoped* principal is the process of one project run: it
reads everything, writes only in its run's experiment, and never promotes, deletes or administers. Of other experiments
it measures the models that whoever started it handed to it: an evaluation gets the champion that way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What a principal may do at most; what a route needs at least."""

    NOBODY = 0
    READ = 1
    WRITE = 2
    PROMOTE = 3
    OVERRIDE = 4
    ADMIN = 5


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    Args:
        name: the actor in every record.
        role: what it may do.
        run_id: the run that it is the process of; None for a person or a service.
        experiment_id: the only experiment that it writes in; None for all.
        measures: LoggedModels of other experiments that it logs metrics on all the same.
    """

    name: str
    role: Role
    run_id: str | None = None
    experiment_id: str | None = None
    measures: frozenset[str] = frozenset()

    def may(self, role: Role) -> bool:
        return self.role >= role

    def may_write_in(self, experiment_id: str) -> bool:
        return self.experiment_id is None or self.experiment_id == experiment_id


ANYBODY = Principal("", Role.ADMIN)
