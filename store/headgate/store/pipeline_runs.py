"""Runs as people look for them: by the pipeline, the pipeline run and the task that they were part of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE, LifecycleStage, Run, RunContext, RunInfo, RunStatus
from headgate.store.id_sets import is_one_of
from headgate.store.run_guard import RUN
from headgate.store.run_records import read_infos, read_runs
from headgate.store.tables import ExperimentRow, LoggedModelRow

_MODEL = LoggedModelRow.__table__
_EXPERIMENT = ExperimentRow.__table__
# Rows of the newest runs of a pipeline that are looked at for its newest pipeline runs, or for those of one task.
_NEWEST_ROWS = 5_000
_DEEPEST = 12  # runs nested in each other, that whose they are is looked for in
_PARENTS_FIRST = sa.case((RUN.c.task.is_(None), 0), else_=1)


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """Everything that one pipeline run recorded under its name.

    Args:
        parent: the pipeline run's own run; None when nobody opened one.
        runs: the newest attempt of every piece of work, by start time; the parent is not among them.
        truncated: whether there are more runs than were asked for.
    """

    parent: Run | None
    runs: tuple[Run, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class PipelineRunSummary:
    """One of a pipeline's runs, in a list of them.

    Args:
        pipeline_run_id: names it.
        parent: the pipeline run's own run; None when nobody opened one.
        start_time: of the first run, epoch ms.
        counts: how many of the runs below the parent stand in each status.
    """

    pipeline_run_id: str
    parent: RunInfo | None
    start_time: int
    counts: Mapping[RunStatus, int]


class PipelineRuns:
    """The runs of a workspace's pipelines. Deleted runs, and attempts that a newer one took over from, are left out.

    Args:
        database: the store's.
        workspace: what is outside it is never shown.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def get(
        self, origin: str, pipeline: str, pipeline_run_id: str, *, task: str | None = None, limit: int = 500
    ) -> PipelineRun:
        """Return what a pipeline run recorded, in the same number of queries however much it is.

        Args:
            origin: ``airflow``, ``prefect`` or ``local``.
            pipeline: DAG id, flow name or the name of the pipeline file.
            pipeline_run_id: the DAG run's or flow run's id.
            task: only the runs of this task; None for all, and for the parent.
            limit: the most runs to return.

        Returns:
            Without a parent and without runs when there are none.
        """
        wanted = self._standing(origin, pipeline).where(RUN.c.pipeline_run_id == pipeline_run_id)
        if task is not None:
            wanted = wanted.where(RUN.c.task == task)
        ordered = wanted.order_by(_PARENTS_FIRST, RUN.c.start_time, RUN.c.run_id).limit(limit + 2)
        with self._database.read() as connection:
            found = read_runs(connection, connection.scalars(ordered).all())
        parent = found[0] if found and found[0].info.context.task is None else None
        runs = found if parent is None else found[1:]
        return PipelineRun(parent, runs[:limit], len(runs) > limit)

    def newest(self, origin: str, pipeline: str, *, limit: int = 25) -> tuple[PipelineRunSummary, ...]:
        """Return the newest runs of a pipeline, the newest first.

        The newest 5,000 runs of all its tasks are looked at: a pipeline of a hundred tasks shows fifty runs at most.
        """
        columns = (RUN.c.run_id, RUN.c.pipeline_run_id, RUN.c.task, RUN.c.status, RUN.c.start_time)
        newest = self._newest(origin, pipeline, columns).subquery()
        with self._database.read() as connection:
            rows = connection.execute(sa.select(newest).where(newest.c.pipeline_run_id.is_not(None))).all()
            groups: dict[str, list[sa.Row[Any]]] = {}
            for row in rows:
                groups.setdefault(row.pipeline_run_id, []).append(row)
            if len(rows) >= _NEWEST_ROWS and len(groups) > 1:
                groups.popitem()  # the oldest one may be cut in two
            shown = list(groups.items())[:limit]
            own = [row.run_id for _, group in shown for row in group if row.task is None]
            parents = {info.context.pipeline_run_id: info for info in _infos(connection, own)}
        return tuple(
            PipelineRunSummary(
                pipeline_run_id=pipeline_run_id,
                parent=parents.get(pipeline_run_id),
                start_time=min(row.start_time for row in group),
                counts=_counted([row.status for row in group if row.task is not None]),
            )
            for pipeline_run_id, group in shown
        )

    def newest_of_task(self, origin: str, pipeline: str, task: str, *, limit: int = 50) -> tuple[Run, ...]:
        """Return the newest runs of one task of a pipeline, the newest first.

        They are looked for among the newest 5,000 runs of all the pipeline's tasks.
        """
        newest = self._newest(origin, pipeline, (RUN.c.run_id, RUN.c.task)).subquery()
        of_task = sa.select(newest.c.run_id).where(newest.c.task == task).limit(limit)
        with self._database.read() as connection:
            return read_runs(connection, connection.scalars(of_task).all())

    def infos(self, run_ids: Sequence[str]) -> tuple[RunInfo, ...]:
        """Return runs without their data, by start time; ids without a run are passed over."""
        with self._database.read() as connection:
            return _infos(connection, run_ids)

    def contexts(
        self, run_ids: Iterable[str], model_ids: Iterable[str]
    ) -> tuple[Mapping[str, RunContext], Mapping[str, RunContext | None]]:
        """Return the work that runs, and the runs that made LoggedModels, were part of.

        A run that names no pipeline belongs to the work of the run that it is nested in: a script may open runs within
        its own. The number of queries grows with how deep they are nested, up to a limit, beyond which a run has no
        entry.

        Returns:
            By run id, and by model id; None for a model that no run made. Unknown ids have no entry.
        """
        with self._database.read() as connection:
            of_models = sa.select(_MODEL.c.model_id, _MODEL.c.source_run_id)
            of_models = of_models.where(is_one_of(connection, _MODEL.c.model_id, sorted(set(model_ids))))
            makers = {row.model_id: row.source_run_id for row in connection.execute(of_models)}
            wanted = sorted({*run_ids, *filter(None, makers.values())})
            runs = _owners(connection, wanted)
        known = {model_id: maker for model_id, maker in makers.items() if not maker or maker in runs}
        return runs, {model_id: runs[maker] if maker else None for model_id, maker in known.items()}

    def _newest(self, origin: str, pipeline: str, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
        wanted = self._standing(origin, pipeline).with_only_columns(*columns)
        return wanted.order_by(RUN.c.start_time.desc(), RUN.c.run_id).limit(_NEWEST_ROWS)

    def _standing(self, origin: str, pipeline: str) -> sa.Select[Any]:
        return (
            sa.select(RUN.c.run_id)
            .join(_EXPERIMENT, _EXPERIMENT.c.experiment_id == RUN.c.experiment_id)
            .where(_EXPERIMENT.c.workspace == self._workspace)
            .where(RUN.c.pipeline == pipeline, RUN.c.origin == origin, RUN.c.superseded_by.is_(None))
            .where(RUN.c.lifecycle_stage == LifecycleStage.ACTIVE.value)
        )


def _infos(connection: Connection, run_ids: Sequence[str]) -> tuple[RunInfo, ...]:
    return read_infos(connection, is_one_of(connection, RUN.c.run_id, run_ids)) if run_ids else ()


def _owners(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunContext]:
    found: dict[str, RunInfo] = {}
    level = list(run_ids)
    for _ in range(_DEEPEST):
        infos = _infos(connection, level)
        found.update((info.run_id, info) for info in infos)
        above = {info.parent_run_id for info in infos if info.context.pipeline is None and info.parent_run_id}
        level = sorted(above - found.keys())
        if not level:
            break
    owners = {}
    for run_id in run_ids:
        info, seen = found.get(run_id), {run_id}
        while info is not None and info.context.pipeline is None and info.parent_run_id:
            info = None if info.parent_run_id in seen else found.get(info.parent_run_id)
            seen.update([info.run_id] if info is not None else [])
        if info is not None:
            owners[run_id] = info.context
    return owners


def _counted(statuses: Sequence[str]) -> Mapping[RunStatus, int]:
    return {status: statuses.count(status.value) for status in RunStatus if status.value in statuses}
