"""Finding the ids of one page of runs, by walking an index in the order asked for, and no further than the page.

Two ways, chosen by counting what the indexes find, never beyond :data:`FEW` or :data:`FEW_PER_RESULT` of the page:

* a filter that few runs satisfy: all of them are read and sorted;
* else: the index of the first level of the order is walked from where the page starts. Runs that tie there are a search
  of their own, by the levels that remain. After the values come NaN, then the runs without the metric, param or tag.

Either way the cost is bounded by the page, not by the number of runs, unless the filter is one that many runs satisfy
each part of and few the whole. Orders by attributes other than the start time have no index: they look at every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, FromClause, Select

from headgate.store.search.keyset import read_positions
from headgate.store.search.matching import Condition
from headgate.store.search.pages import Mark, Position, Rank
from headgate.store.search.planner import join_in_order
from headgate.store.search.run_conditions import RUN, Demand
from headgate.store.search.run_order import Level, sort_positions
from headgate.store.search.vocabulary import Field

# So many runs are read and sorted rather than met on a walk, and more of them for a larger page.
FEW = 2000
FEW_PER_RESULT = 20
# No index finds runs that lack something. Where they are rare, so many that a filter leaves are read and sorted too.
MANY = 50_000

Levels = tuple[Level, ...]
Rows = dict[Level, FromClause]


@dataclass(frozen=True)
class Scope:
    """Where runs are looked for, and what they must satisfy."""

    experiments: tuple[int, ...]
    stages: tuple[str, ...]
    demands: tuple[Demand, ...]

    def also(self, demand: Demand) -> Scope:
        return replace(self, demands=(*self.demands, demand))

    def conditions(self, *, without: Field | None = None) -> list[Condition]:
        """Return the conditions on a run, but for those that the row of ``without`` is asked itself."""
        left = [d for d in self.demands if d.absent or d.source is None or d.source != without]
        return [RUN.c.lifecycle_stage.in_(self.stages), *(demand.on_run() for demand in left)]

    def on_row(self, field: Field, row: FromClause) -> list[Condition]:
        """Return the conditions on the row of a metric, param or tag."""
        return [d.matches(row) for d in self.demands if d.source == field and not d.absent]

    def ranks(self, level: Level) -> frozenset[Rank]:
        """Return where runs of this scope may stand in a level."""
        found = level.ranks
        for demand in self.demands:
            if demand.source is not None and demand.source == level.field:
                found &= demand.ranks
        return found


class RunWalk:
    """Finds positions of runs on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def page(self, scope: Scope, levels: Levels, behind: Position | None, limit: int) -> list[Position]:
        """Return the first ``limit`` positions behind one, in order."""
        few = self._few(scope, scope.demands, _few_for(limit), count_all=True)
        if few is not None:
            return self._sorted(few, scope, levels, behind, limit)
        found: list[Position] = []
        for experiment in scope.experiments:
            found += self._walk(replace(scope, experiments=(experiment,)), levels, behind, limit)
        return sort_positions(found, levels)[:limit] if len(scope.experiments) > 1 else found

    def _ordered(
        self, scope: Scope, new: Demand, levels: Levels, behind: Position | None, limit: int
    ) -> list[Position]:
        """Find runs that satisfy one demand more than those that were counted before."""
        if limit <= 0:
            return []
        scope = scope.also(new)
        few = self._few(scope, (new,), _few_for(limit))
        if new.absent and self._are_rare(scope, limit):
            few = self._few(scope, scope.demands, MANY, count_all=True)
        if few is not None:
            return self._sorted(few, scope, levels, behind, limit)
        return self._walk(scope, levels, behind, limit)

    def _few(
        self, scope: Scope, demands: Sequence[Demand], most: int, *, count_all: bool = False
    ) -> Select[Any] | None:
        """Return the ids of the fewest runs that a demand leaves, when they are no more than ``most``."""
        candidates = [demand.candidates(scope.experiments) for demand in demands if demand.narrow]
        if count_all:
            everything = RUN.c.experiment_id.in_(scope.experiments), RUN.c.lifecycle_stage.in_(scope.stages)
            candidates.append(sa.select(RUN.c.run_id).where(*everything))
        if not candidates:
            return None
        counts = [
            sa.select(sa.func.count()).select_from(some.limit(most + 1).subquery()).scalar_subquery()
            for some in candidates
        ]
        counted = self._connection.execute(sa.select(*counts)).one()
        fewest = min(range(len(candidates)), key=counted.__getitem__)
        if counted[fewest] > most:
            return None
        # The limit leaves room for what arrives meanwhile, and tells PostgreSQL how few they are: it guesses far more.
        return candidates[fewest].limit(2 * most + FEW)

    def _are_rare(self, scope: Scope, limit: int) -> bool:
        """Say whether ``limit`` of the scope's runs will hardly be met among :data:`MANY`, going by the newest ones."""
        newest = sa.select(RUN.c.run_id).where(
            RUN.c.experiment_id.in_(scope.experiments), RUN.c.lifecycle_stage == scope.stages[0]
        )
        sample = newest.order_by(RUN.c.start_time.desc()).limit(FEW).subquery()
        both = join_in_order(sample, RUN, sample.c.run_id == RUN.c.run_id)
        met = self._connection.execute(sa.select(sa.func.count()).select_from(both).where(*scope.conditions())).scalar()
        return int(met or 0) * MANY < limit * FEW

    def _sorted(
        self, few: Select[Any], scope: Scope, levels: Levels, behind: Position | None, limit: int
    ) -> list[Position]:
        ids = few.subquery()
        source, rows = self._look_up(join_in_order(ids, RUN, ids.c.run_id == RUN.c.run_id), levels, {})
        statement = (
            sa.select(RUN.c.run_id)
            .select_from(source)
            .where(RUN.c.experiment_id.in_(scope.experiments), *scope.conditions())
        )
        sorts = [level.sort(rows.get(level)) for level in levels]
        return [position for _, position in read_positions(self._connection, statement, sorts, behind, limit)]

    def _walk(self, scope: Scope, levels: Levels, behind: Position | None, limit: int) -> list[Position]:
        level, rest = levels[0], levels[1:]
        if level.is_start_time and len(scope.stages) > 1:
            # The index by start time is one per lifecycle stage.
            by_stage = [self._walk(replace(scope, stages=(s,)), levels, behind, limit) for s in scope.stages]
            return sort_positions([position for found in by_stage for position in found], levels)[:limit]
        ranks = scope.ranks(level)
        reached = behind[0] if behind is not None else None
        found: list[Position] = []
        if behind is not None and reached is not None and rest:
            found = self._tie(scope, level, reached, rest, behind[1:], limit)
        if Rank.VALUE in ranks and (reached is None or reached[0] is Rank.VALUE):
            found += self._values(scope, levels, reached, limit - len(found))
        for rank in (Rank.NAN, Rank.MISSING):
            if rank in ranks and (reached is None or reached[0] < rank):
                found += self._tie(scope, level, (rank, None), rest, None, limit - len(found))
        return found

    def _tie(
        self, scope: Scope, level: Level, mark: Mark, rest: Levels, behind: Position | None, limit: int
    ) -> list[Position]:
        """Find runs that stand at one mark of a level, ordered by the levels that remain."""
        tied = self._ordered(scope, level.standing_at(mark, self._dialect), rest, behind, limit)
        return [(mark, *position) for position in tied]

    def _values(self, scope: Scope, levels: Levels, reached: Mark | None, limit: int) -> list[Position]:
        """Walk the values of the first level behind the one that was reached."""
        if limit <= 0:
            return []
        found = self._execute(self._values_statement(scope, levels, reached).limit(limit + 1), levels)
        if len(found) <= limit or len(levels) == 1:
            return sort_positions(found, levels)[:limit]
        # The rows come ordered by the first level only: of the last value, more may follow.
        last = found[-1][0]
        complete = [position for position in found if position[0] != last]
        tied = self._tie(scope, levels[0], last, levels[1:], None, limit - len(complete))
        return sort_positions(complete, levels) + tied

    def _values_statement(self, scope: Scope, levels: Levels, reached: Mark | None) -> Select[Any]:
        level = levels[0]
        row = level.row()
        if row is None:
            statement = self._positions(RUN, levels, {})
            statement = statement.where(RUN.c.experiment_id.in_(scope.experiments), *scope.conditions())
        else:
            statement = self._positions(join_in_order(row, RUN, row.c.run_id == RUN.c.run_id), levels, {level: row})
            of_key = row.c.experiment_id.in_(scope.experiments), row.c.key == level.field.key
            on_row = scope.on_row(level.field, row)
            statement = statement.where(*of_key, *on_row, *scope.conditions(without=level.field))
        statement = statement.where(level.has_value(row))
        if reached is not None:
            statement = statement.where(level.behind(row, reached[1], self._dialect))
        return statement.order_by(level.sorted_by(row, self._dialect))

    def _positions(self, source: FromClause, levels: Levels, rows: Rows) -> Select[Any]:
        """Select the rank and value of each level, looking up what ``source`` does not hold."""
        source, rows = self._look_up(source, levels, rows)
        columns = [
            column for level in levels for column in (level.rank(rows.get(level)), level.column(rows.get(level)))
        ]
        return sa.select(*columns).select_from(source)

    def _look_up(self, source: FromClause, levels: Levels, rows: Rows) -> tuple[FromClause, Rows]:
        """Join the rows of the metrics, params and tags of an order that ``rows`` does not hold yet."""
        for level in levels:
            row = None if level in rows else level.row()
            if row is not None:
                on = sa.and_(row.c.run_id == RUN.c.run_id, row.c.key == level.field.key)
                source, rows = source.outerjoin(row, on), {**rows, level: row}
        return source, rows

    def _execute(self, statement: Select[Any], levels: Levels) -> list[Position]:
        width = range(len(levels))
        return [
            tuple(_mark(row[2 * index], row[2 * index + 1]) for index in width)
            for row in self._connection.execute(statement)
        ]


def _few_for(limit: int) -> int:
    return max(FEW, FEW_PER_RESULT * limit)


def _mark(rank: int, value: Any) -> Mark:
    known = Rank(rank)
    return known, value if known is Rank.VALUE else None
