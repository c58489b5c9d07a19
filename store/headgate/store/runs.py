"""Runs: opening them by the work they stand for, logging to them, ending them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from headgate.store.clock import now_ms
from headgate.store.database import Database
from headgate.store.entities import (
    DEFAULT_WORKSPACE,
    Lease,
    LifecycleStage,
    Metric,
    Page,
    Param,
    Run,
    RunContext,
    RunInfo,
    RunStatus,
    Tag,
)
from headgate.store.errors import HeadgateError, StoreUnavailable
from headgate.store.leases import remove_lease
from headgate.store.params_and_tags import write_tags
from headgate.store.run_attempts import attempts_of, fence_attempts_opened_at_once
from headgate.store.run_batches import RunBatch, write_batch, write_batches
from headgate.store.run_ending import checked_end, require_may_end, write_end
from headgate.store.run_guard import RUN, lock_run, lock_writable_run, run_not_found, why_not_writable
from headgate.store.run_opening import RunRequest, check_context, name_of_run, open_run
from headgate.store.run_records import read_infos, read_made_models, read_runs, run_info
from headgate.store.tables import ExperimentRow
from headgate.store.validation import (
    MAX_RUN_NAME_LENGTH,
    MAX_USER_LENGTH,
    RUN_NAME_TAG,
    check_params,
    check_run_id,
    check_status,
    check_tags,
    check_text,
    check_timestamp,
    parse_experiment_id,
)

_OPEN_ATTEMPTS = 10


class Runs:
    """The runs of one workspace's experiments. An id names a run in every workspace."""

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def open(
        self,
        experiment_id: str,
        *,
        context: RunContext | None = None,
        name: str | None = None,
        tags: Mapping[str, str] | Iterable[Tag] = (),
        params: Mapping[str, str] | Iterable[Param] = (),
        user_id: str = "",
        parent_run_id: str | None = None,
        start_time: int | None = None,
        run_id: str | None = None,
        status: RunStatus = RunStatus.RUNNING,
        lease_owner: str | None = None,
        lease_seconds: float = 60.0,
        host: str = "",
        pid: int | None = None,
        now: int | None = None,
    ) -> Run:
        """Return the run of a piece of work, made when it is missing.

        A context with a ``pipeline_run_id`` names a piece of work. The same attempt of it, opened again or by two
        processes at once, is one run, so this may run twice; ``attempt=None`` is the attempt after the newest. Opening
        a new attempt fences off those before it in the same transaction: nothing can be written to them any more, and
        one still running becomes KILLED. An anonymous context makes a new run each time, unless ``run_id`` names one
        that exists.

        Args:
            context: what the run stands for; None is an anonymous one.
            name: up to 250 characters; None takes the tag ``mlflow.runName`` or invents one.
            start_time: epoch ms; None takes ``now``.
            run_id: an id for the run, up to 36 characters; None makes 32 hexadecimal digits.
            lease_owner: takes the run's lease for this owner; None leaves leases alone.
            lease_seconds: how long the lease holds from ``now`` on, in seconds.
            host: where the owner of the lease runs.
            pid: its process id there.
            now: epoch ms; None takes the current time.

        Raises:
            NotFound: there is no such experiment or parent run.
            InvalidInput: a name, value or the context is not valid, or the experiment is deleted.
            ParamChanged: the run exists, with another value of a param.
            RunNotActive: a newer attempt exists, or this one was deleted.
        """
        context = check_context(context or RunContext())
        now = now_ms() if now is None else check_timestamp("current time", now)
        checked_tags = check_tags(tags)
        lease = None
        if lease_owner is not None:
            check_text("owner of a lease", lease_owner, 64)
            check_text("host of a lease", host, 255)
            lease = Lease("", lease_owner, now + int(lease_seconds * 1000), now, host, pid)
        request = RunRequest(
            experiment_number=parse_experiment_id(experiment_id),
            context=context,
            work_key=context.work_key(self._workspace),
            run_id=None if run_id is None else check_run_id(run_id),
            name=name_of_run(name, checked_tags),
            user_id=check_text("user of the run", user_id, MAX_USER_LENGTH),
            parent_run_id=parent_run_id,
            status=check_status(status),
            start_time=now if start_time is None else check_timestamp("start time of the run", start_time),
            now=now,
            params=check_params(params),
            tags=checked_tags,
            lease=lease,
        )
        run = self._open(request)
        if request.work_key is not None and self._database.dialect != "sqlite":
            fence_attempts_opened_at_once(self._database, run.info, request.work_key, now)
        return run

    def get(self, run_id: str) -> Run:
        """Return a run with its latest metrics, params, tags, inputs and outputs; deleted or not.

        Raises:
            NotFound: there is no such run.
        """
        with self._database.read() as connection:
            found = read_runs(connection, [run_id])
        if not found:
            raise run_not_found(run_id)
        return found[0]

    def get_many(self, run_ids: Sequence[str]) -> tuple[Run, ...]:
        """Return runs as :meth:`get` does, in the order of ``run_ids``; ids without a run are passed over."""
        with self._database.read() as connection:
            return read_runs(connection, run_ids)

    def get_info(self, run_id: str) -> RunInfo:
        """Return a run without its data, deleted or not.

        Raises:
            NotFound: there is no such run.
        """
        with self._database.read() as connection:
            return _info(connection, run_id)

    def update(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time: int | None = None,
        name: str | None = None,
    ) -> RunInfo:
        """Change what is given, as MLflow's update does: any status may follow any other. May run twice.

        An entry point's end is better said with :meth:`finish`, which never turns a killed run green. A status that
        ends the run removes its lease.

        Args:
            end_time: epoch ms.
            name: also becomes the tag ``mlflow.runName``; empty leaves it.

        Raises:
            NotFound: there is no such run.
            RunNotActive: the run was deleted or a newer attempt took over.
            InvalidInput: the status, the name or the time is not valid.
        """
        values: dict[str, str | int] = {}
        if status is not None:
            status = check_status(status)
            values["status"] = status.value
        if end_time is not None:
            values["end_time"] = check_timestamp("end time of the run", end_time)
        tags = {RUN_NAME_TAG: check_text("name of the run", name, MAX_RUN_NAME_LENGTH)} if name else {}

        def work(connection: Connection) -> RunInfo:
            state = lock_writable_run(connection, run_id)
            if values:
                connection.execute(sa.update(RUN).where(RUN.c.run_id == run_id).values(**values))
            write_tags(connection, run_id, state.experiment_id, tags)
            if status is not None and status.terminated:
                remove_lease(connection, run_id)
            return _info(connection, run_id)

        return self._database.transact(work)

    def finish(
        self, run_id: str, status: RunStatus, *, end_time: int | None = None, message: str | None = None
    ) -> RunInfo:
        """End a run and give its lease back. May run twice: a run that ended this way already stays as it is.

        Args:
            status: FINISHED, FAILED or KILLED.
            end_time: epoch ms; None takes the current time.
            message: why it ended so; becomes the tag ``headgate.statusMessage``.

        Raises:
            NotFound: there is no such run.
            RunNotActive: the run was killed, deleted, or a newer attempt took over: it can't end as FINISHED or FAILED.
            InvalidInput: the status does not end a run.
        """
        end = checked_end(run_id, status, end_time, message)

        def work(connection: Connection) -> RunInfo:
            state = lock_run(connection, run_id)
            if state.status is not end.status:
                require_may_end(state, end.status)
                write_end(connection, state, end)
            return _info(connection, run_id)

        return self._database.transact(work)

    def end_if_running(
        self, run_id: str, status: RunStatus, *, end_time: int | None = None, message: str | None = None
    ) -> bool:
        """End a run in its worker's stead; one that has ended meanwhile, or that is fenced off, stays as it is.

        Its worker, if it still lives, learns it from its next heartbeat. May run twice.

        Args:
            status, end_time, message: as in :meth:`finish`.

        Returns:
            Whether this call ended it.

        Raises:
            NotFound: there is no such run.
        """
        end = checked_end(run_id, status, end_time, message)

        def work(connection: Connection) -> bool:
            state = lock_run(connection, run_id)
            if state.status.terminated or why_not_writable(state) is not None:
                return False
            write_end(connection, state, end)
            return True

        return self._database.transact(work)

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Iterable[Metric] = (),
        params: Mapping[str, str] | Iterable[Param] = (),
        tags: Mapping[str, str] | Iterable[Tag] = (),
    ) -> None:
        """Log metrics, params and tags in one transaction, all or nothing. May run twice: nothing is doubled.

        Args:
            metrics: as in :meth:`headgate.store.metrics.Metrics.log`.
            params: as in :meth:`headgate.store.params_and_tags.Params.log`.
            tags: as in :meth:`headgate.store.params_and_tags.Tags.set`.

        Raises:
            InvalidInput: a name, value, timestamp or step is not valid, or a param is given twice.
            ParamChanged: a param was logged before, with another value.
            NotFound: there is no such run, or a metric names a model that does not exist.
            RunNotActive: the run was deleted or a newer attempt took over.
        """
        batch = RunBatch.of(run_id, metrics=metrics, params=params, tags=tags)
        self._database.transact(lambda connection: write_batch(connection, batch))

    def log_batches(self, batches: Sequence[RunBatch], *, wait: bool = True) -> tuple[HeadgateError | None, ...]:
        """Log batches of any number of runs in one transaction: a server answers many requests with one commit.

        Args:
            batches: each made with :meth:`headgate.store.run_batches.RunBatch.of`; a run may have several.
            wait: for SQLite's write lock; else StoreUnavailable is raised at once when somebody holds it.

        Returns:
            For each batch None, or the error that :meth:`log_batch` would have raised; nothing of such a batch is
            written, and the others are. May run twice.
        """
        return self._database.transact(lambda connection: write_batches(connection, batches), wait=wait)

    def search(
        self,
        experiment_ids: Sequence[str],
        filter: str | None = None,  # noqa: A002  # MLflow's word
        *,
        view_type: LifecycleStage | None = LifecycleStage.ACTIVE,
        order_by: Sequence[str] | None = None,
        max_results: int = 1000,
        page_token: str | None = None,
        newest_attempts_only: bool = False,
    ) -> Page[Run]:
        """Return one page of the runs that match a filter; see :func:`headgate.store.search.search_runs`.

        Raises:
            InvalidFilter: ``filter`` or ``order_by`` can't be read.
            InvalidInput: another argument is not valid, or the token belongs to another search.
        """
        # Here, because every run opens a store and few search it: the filter language takes a while to import.
        from headgate.store.search.runs import search_runs

        return search_runs(
            self._database,
            experiment_ids,
            filter,
            view_type=view_type,
            order_by=order_by,
            max_results=max_results,
            page_token=page_token,
            newest_attempts_only=newest_attempts_only,
        )

    def made_models(self, run_id: str) -> tuple[str, ...]:
        """Return the ids of the READY LoggedModels that a run made, the oldest first; external ones are among them."""
        with self._database.read() as connection:
            return read_made_models(connection, run_id)

    def children(self, parent_run_id: str, *, all_attempts: bool = False) -> tuple[RunInfo, ...]:
        """Return the active runs nested below a run, by start time.

        Args:
            all_attempts: also those that a newer attempt took over from.
        """
        wanted = [RUN.c.parent_run_id == parent_run_id, RUN.c.lifecycle_stage == LifecycleStage.ACTIVE.value]
        if not all_attempts:
            wanted.append(RUN.c.superseded_by.is_(None))
        with self._database.read() as connection:
            return read_infos(connection, *wanted)

    def open_pipeline_runs(self, origin: str, *, max_results: int = 1000) -> tuple[RunInfo, ...]:
        """Return the runs of this workspace's pipeline runs that are RUNNING, the oldest first.

        Args:
            origin: whose they are: ``airflow``, ``prefect`` or ``local``.
        """
        experiment = ExperimentRow.__table__
        found = (
            sa.select(RUN)
            .join(experiment, experiment.c.experiment_id == RUN.c.experiment_id)
            .where(
                RUN.c.status == RunStatus.RUNNING.value,
                RUN.c.origin == origin,
                RUN.c.task.is_(None),
                RUN.c.pipeline_run_id.is_not(None),
                RUN.c.lifecycle_stage == LifecycleStage.ACTIVE.value,
                experiment.c.workspace == self._workspace,
            )
            .order_by(RUN.c.start_time, RUN.c.run_id)
        )
        with self._database.read() as connection:
            return tuple(run_info(row) for row in connection.execute(found.limit(max_results)))

    def delete(self, run_id: str, now: int | None = None) -> None:
        """Mark a run as deleted; :meth:`restore` brings it back. May run twice.

        Raises:
            NotFound: there is no such run.
        """
        self._move(run_id, LifecycleStage.DELETED, now_ms() if now is None else now)

    def restore(self, run_id: str) -> None:
        """Bring a deleted run back. May run twice.

        Raises:
            NotFound: there is no such run.
        """
        self._move(run_id, LifecycleStage.ACTIVE, None)

    def find_by_context(self, context: RunContext) -> Run | None:
        """Return the newest attempt of a piece of work that is not deleted; None when there is none.

        The context's own ``attempt`` is not looked at.

        Raises:
            InvalidInput: the context is anonymous and names no work.
        """
        wanted = attempts_of(context, self._workspace), RUN.c.lifecycle_stage == LifecycleStage.ACTIVE.value
        statement = sa.select(RUN.c.run_id).where(*wanted).order_by(RUN.c.attempt.desc()).limit(1)
        with self._database.read() as connection:
            found = read_runs(connection, connection.scalars(statement).all())
        return found[0] if found else None

    def attempts(self, context: RunContext) -> tuple[RunInfo, ...]:
        """Return every attempt of a piece of work, the first one first, deleted ones included.

        Raises:
            InvalidInput: the context is anonymous and names no work.
        """
        wanted = attempts_of(context, self._workspace)
        with self._database.read() as connection:
            infos = read_infos(connection, wanted)
        return tuple(sorted(infos, key=lambda info: info.context.attempt or 0))

    def _open(self, request: RunRequest) -> Run:
        collision: IntegrityError | None = None
        for _ in range(_OPEN_ATTEMPTS):
            try:
                return self._database.transact(lambda connection: open_run(connection, self._workspace, request))
            except IntegrityError as error:
                # Another process opened the same attempt, or took its number: look again.
                collision = error
        raise StoreUnavailable(
            "The run could not be opened: too many processes open attempts of the same work.", remedy="Try again."
        ) from collision

    def _move(self, run_id: str, stage: LifecycleStage, deleted_time: int | None) -> None:
        moved = sa.update(RUN).where(RUN.c.run_id == run_id)
        values = {"lifecycle_stage": stage.value, "deleted_time": deleted_time}

        def work(connection: Connection) -> None:
            if lock_run(connection, run_id).lifecycle_stage is not stage:
                connection.execute(moved.values(**values))

        self._database.transact(work)


def _info(connection: Connection, run_id: str) -> RunInfo:
    found = read_infos(connection, RUN.c.run_id == run_id)
    if not found:
        raise run_not_found(run_id)
    return found[0]
