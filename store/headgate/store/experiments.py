"""Experiments: the folders that runs and LoggedModels stand in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from headgate.store.artifacts import artifact_root_uri
from headgate.store.clock import now_ms
from headgate.store.database import Database
from headgate.store.dialects import upsert
from headgate.store.driver_statements import DriverStatement
from headgate.store.entities import (
    DEFAULT_EXPERIMENT_ID,
    DEFAULT_WORKSPACE,
    Experiment,
    LifecycleStage,
    Page,
    Tag,
)
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound, StoreUnavailable
from headgate.store.tables import ExperimentRow, ExperimentTagRow, RunRow
from headgate.store.validation import (
    MAX_ARTIFACT_LOCATION_LENGTH,
    MAX_EXPERIMENT_TAG_VALUE_LENGTH,
    check_experiment_name,
    check_key,
    check_text,
    parse_experiment_id,
    shorten,
)

EXPERIMENT = ExperimentRow.__table__
EXPERIMENT_TAG = ExperimentTagRow.__table__
RUN = RunRow.__table__

DEFAULT_EXPERIMENT_NAME = "Default"

# Two that create experiments at once may take the same number; the later one takes the next.
_CREATE_ATTEMPTS = 50


class Experiments:
    """The experiments of one workspace.

    Args:
        artifact_root: folder or ``s3://…`` URI; an experiment's artifacts go to ``<artifact_root>/<experiment_id>``
            unless it says otherwise.
        workspace: experiments of other workspaces do not exist here.
    """

    def __init__(self, database: Database, artifact_root: str, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._artifact_root = artifact_root.rstrip("/")
        self._workspace = workspace

    def ensure_default(self) -> None:
        """Make the experiment ``Default``, number 0 in the workspace ``default``, unless it exists. May run twice."""
        by_number = self._workspace == DEFAULT_WORKSPACE
        with self._database.read() as connection:
            mine = EXPERIMENT.c.experiment_id == int(DEFAULT_EXPERIMENT_ID) if by_number else self._named("Default")
            if connection.scalar(sa.select(EXPERIMENT.c.experiment_id).where(mine)) is not None:
                return
        try:
            self._create(DEFAULT_EXPERIMENT_NAME, None, {}, now_ms(), number=0 if by_number else None)
        except AlreadyExists:
            return  # another process was faster

    def create(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | Iterable[Tag] | None = None,
        now: int | None = None,
    ) -> Experiment:
        """Create an experiment.

        Args:
            name: up to 500 characters, unique in the workspace, deleted experiments included.
            artifact_location: a folder or ``s3://…``, where its runs' artifacts go; None takes
                ``<artifact_root>/<experiment_id>``.
            now: creation time, epoch ms; None takes the current time.

        Raises:
            AlreadyExists: an experiment has this name; a retry says so too. :meth:`get_or_create` may run twice.
            InvalidInput: the name or a tag is not valid.
            InvalidSettings: no artifacts can be kept at that location.
        """
        check_experiment_name(name)
        pairs = tags.items() if isinstance(tags, Mapping) else ((tag.key, tag.value) for tag in tags or ())
        checked = dict(_check_tag(key, value) for key, value in pairs)
        location = None
        if artifact_location:
            location = artifact_root_uri(artifact_location)
            check_text("artifact location of the experiment", location, MAX_ARTIFACT_LOCATION_LENGTH)
        return self._create(name, location, checked, now_ms() if now is None else now)

    def get(self, experiment_id: str) -> Experiment:
        """Return an experiment, deleted or not.

        Raises:
            NotFound: there is no such experiment in this workspace.
            InvalidInput: the id is not a number.
        """
        number = parse_experiment_id(experiment_id)
        with self._database.read() as connection:
            return self._get(connection, number)

    def get_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of that name, deleted or not; None when there is none."""
        with self._database.read() as connection:
            return _first(read_experiments(connection, self._named(name)))

    def get_or_create(self, name: str, now: int | None = None) -> Experiment:
        """Return the active experiment of that name, made when it is missing. May run twice.

        Raises:
            AlreadyExists: there is one, and it is deleted.
            InvalidInput: the name is not valid.
        """
        found = self.get_by_name(name)
        if found is None:
            try:
                return self.create(name, now=now)
            except AlreadyExists:  # another process was faster
                found = self.get_by_name(name)
        if found is None or found.lifecycle_stage is LifecycleStage.DELETED:
            raise _name_taken(name, LifecycleStage.DELETED)
        return found

    def list(
        self,
        *,
        lifecycle_stage: LifecycleStage | None = LifecycleStage.ACTIVE,
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """Return experiments, the newest first.

        Args:
            lifecycle_stage: None returns active and deleted ones.
            max_results: the most of one page.
            page_token: ``next_page_token`` of the page before.

        Raises:
            InvalidInput: ``max_results`` or ``page_token`` is not valid.
        """
        if max_results < 1:
            raise InvalidInput(f"max_results is {max_results}.", remedy="Ask for at least 1 experiment.")
        wanted = [EXPERIMENT.c.workspace == self._workspace]
        if lifecycle_stage is not None:
            wanted.append(EXPERIMENT.c.lifecycle_stage == lifecycle_stage.value)
        if page_token:
            wanted.append(EXPERIMENT.c.experiment_id < parse_experiment_id(page_token))
        with self._database.read() as connection:
            found = read_experiments(connection, *wanted, limit=max_results + 1)
        if len(found) <= max_results:
            return Page(found)
        return Page(found[:max_results], found[max_results - 1].experiment_id)

    def search(
        self,
        filter: str | None = None,  # noqa: A002  # MLflow's word
        *,
        view_type: LifecycleStage | None = LifecycleStage.ACTIVE,
        order_by: Sequence[str] | None = None,
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """Return one page of the experiments that match a filter.

        See :func:`headgate.store.search.search_experiments`.

        Raises:
            InvalidFilter: ``filter`` or ``order_by`` can't be read.
            InvalidInput: another argument is not valid, or the token belongs to another search.
        """
        from headgate.store.search.experiments import search_experiments  # which reads rows with this module

        return search_experiments(
            self._database,
            self._workspace,
            filter,
            view_type=view_type,
            order_by=order_by,
            max_results=max_results,
            page_token=page_token,
        )

    def rename(self, experiment_id: str, name: str, now: int | None = None) -> Experiment:
        """Give an active experiment another name. May run twice.

        Raises:
            NotFound: there is no such experiment.
            AlreadyExists: another experiment has this name.
            InvalidInput: the name is not valid, or the experiment is deleted.
        """
        check_experiment_name(name)
        number = parse_experiment_id(experiment_id)

        def work(connection: Connection) -> Experiment:
            self._active(connection, number)
            holder = _first(read_experiments(connection, self._named(name)))
            if holder is not None and holder.experiment_id != str(number):
                raise _name_taken(name, holder.lifecycle_stage)
            self._update(connection, number, now, name=name)
            return self._get(connection, number)

        try:
            return self._database.transact(work)
        except IntegrityError as error:
            raise _name_taken(name, LifecycleStage.ACTIVE) from error

    def delete(self, experiment_id: str, now: int | None = None) -> None:
        """Mark an experiment and its runs as deleted; :meth:`restore` brings them back.

        Raises:
            NotFound: there is no such active experiment.
        """
        self._move(experiment_id, LifecycleStage.ACTIVE, LifecycleStage.DELETED, now)

    def restore(self, experiment_id: str, now: int | None = None) -> None:
        """Bring a deleted experiment back, and all its runs (as MLflow does).

        Raises:
            NotFound: there is no such deleted experiment.
        """
        self._move(experiment_id, LifecycleStage.DELETED, LifecycleStage.ACTIVE, now)

    def set_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an active experiment. May run twice.

        Raises:
            NotFound: there is no such experiment.
            InvalidInput: the tag is not valid, or the experiment is deleted.
        """
        key, value = _check_tag(key, value)
        number = parse_experiment_id(experiment_id)

        def work(connection: Connection) -> None:
            self._active(connection, number)
            _write_tags(connection, number, {key: value})

        self._database.transact(work)

    def delete_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an active experiment. The second time it is an error, as in MLflow.

        Raises:
            NotFound: there is no such experiment, or it has no such tag.
            InvalidInput: the experiment is deleted.
        """
        number = parse_experiment_id(experiment_id)

        def work(connection: Connection) -> None:
            self._active(connection, number)
            mine = sa.and_(EXPERIMENT_TAG.c.experiment_id == number, EXPERIMENT_TAG.c.key == key)
            if connection.execute(sa.delete(EXPERIMENT_TAG).where(mine)).rowcount == 0:
                raise NotFound(
                    f"Experiment {experiment_id} has no tag {key!r}.",
                    remedy="Look at the tags it has.",
                    kind="experiment tag",
                    key=key,
                )

        self._database.transact(work)

    def _create(
        self, name: str, artifact_location: str | None, tags: Mapping[str, str], now: int, number: int | None = None
    ) -> Experiment:
        def work(connection: Connection) -> Experiment:
            holder = _first(read_experiments(connection, self._named(name)))
            if holder is not None:
                raise _name_taken(name, holder.lifecycle_stage)
            mine = _next_number(connection) if number is None else number
            location = artifact_location or f"{self._artifact_root}/{mine}"
            row = {
                "experiment_id": mine,
                "workspace": self._workspace,
                "name": name,
                "artifact_location": location,
                "lifecycle_stage": LifecycleStage.ACTIVE.value,
                "creation_time": now,
                "last_update_time": now,
            }
            connection.execute(sa.insert(EXPERIMENT), row)
            _write_tags(connection, mine, tags)
            return Experiment(str(mine), name, location, LifecycleStage.ACTIVE, now, now, self._workspace, dict(tags))

        collision: IntegrityError | None = None
        for _ in range(_CREATE_ATTEMPTS):
            try:
                return self._database.transact(work)
            except IntegrityError as error:
                if number is not None:
                    raise _name_taken(name, LifecycleStage.ACTIVE) from error
                collision = error
        raise StoreUnavailable(
            f"No number could be had for experiment {name!r}: too many experiments are created at once.",
            remedy="Try again.",
        ) from collision

    def _move(self, experiment_id: str, before: LifecycleStage, after: LifecycleStage, now: int | None) -> None:
        number = parse_experiment_id(experiment_id)
        time = now_ms() if now is None else now
        deleted_time = time if after is LifecycleStage.DELETED else None

        def work(connection: Connection) -> None:
            experiment = self._get(connection, number)
            if experiment.lifecycle_stage is not before:
                raise NotFound(
                    f"There is no {before.value} experiment {experiment_id}: it is {experiment.lifecycle_stage.value}.",
                    remedy="Nothing has to be done.",
                    kind="experiment",
                    key=str(experiment_id),
                )
            self._update(connection, number, time, lifecycle_stage=after.value)
            runs = sa.update(RUN).where(RUN.c.experiment_id == number, RUN.c.lifecycle_stage == before.value)
            connection.execute(runs.values(lifecycle_stage=after.value, deleted_time=deleted_time))

        self._database.transact(work)

    def _named(self, name: str) -> sa.ColumnElement[bool]:
        return sa.and_(EXPERIMENT.c.workspace == self._workspace, EXPERIMENT.c.name == name)

    def _get(self, connection: Connection, number: int) -> Experiment:
        return get_experiment(connection, self._workspace, number)

    def _active(self, connection: Connection, number: int) -> Experiment:
        return get_active_experiment(connection, self._workspace, number)

    def _update(self, connection: Connection, number: int, now: int | None, **values: str) -> None:
        time = now_ms() if now is None else now
        statement = sa.update(EXPERIMENT).where(EXPERIMENT.c.experiment_id == number)
        connection.execute(statement.values(last_update_time=time, **values))


def get_experiment(connection: Connection, workspace: str, number: int) -> Experiment:
    """Return an experiment of a workspace, deleted or not.

    Raises:
        NotFound: there is no such experiment.
    """
    mine = sa.and_(EXPERIMENT.c.experiment_id == number, EXPERIMENT.c.workspace == workspace)
    found = _first(read_experiments(connection, mine))
    if found is None:
        raise NotFound(
            f"There is no experiment {number} in workspace {workspace!r}.",
            remedy="Create it, or look its number up by name.",
            kind="experiment",
            key=str(number),
        )
    return found


def get_active_experiment(connection: Connection, workspace: str, number: int) -> Experiment:
    """Return an experiment of a workspace that may be written to.

    Raises:
        NotFound: there is no such experiment.
        InvalidInput: it is deleted.
    """
    found = get_experiment(connection, workspace, number)
    if found.lifecycle_stage is not LifecycleStage.ACTIVE:
        raise InvalidInput(
            f"The experiment {number} ({found.name!r}) must be in the 'active' state. Current state is deleted.",
            remedy="Restore it first, or use another experiment.",
            experiment_id=str(number),
        )
    return found


_LOCATION = DriverStatement(
    lambda _: sa.select(EXPERIMENT.c.artifact_location).where(
        EXPERIMENT.c.experiment_id == sa.bindparam("number"),
        EXPERIMENT.c.workspace == sa.bindparam("workspace"),
        EXPERIMENT.c.lifecycle_stage == sa.bindparam("stage"),
    ),
    ("number", "workspace", "stage"),
)


def artifact_location_of(connection: Connection, workspace: str, number: int) -> str:
    """Return where the artifacts of an experiment go that may be written to.

    Raises:
        NotFound: there is no such experiment.
        InvalidInput: it is deleted.
    """
    rows = _LOCATION.run(connection, (number, workspace, LifecycleStage.ACTIVE.value))
    return str(rows[0][0]) if rows else get_active_experiment(connection, workspace, number).artifact_location


def read_experiments(
    connection: Connection, *wanted: sa.ColumnElement[bool], limit: int | None = None
) -> tuple[Experiment, ...]:
    """Return the experiments that ``wanted`` says, the greatest number first, with their tags."""
    statement = sa.select(EXPERIMENT).where(*wanted).order_by(EXPERIMENT.c.experiment_id.desc()).limit(limit)
    rows = connection.execute(statement).all()
    tags = _read_tags(connection, [row.experiment_id for row in rows])
    return tuple(
        Experiment(
            experiment_id=str(row.experiment_id),
            name=row.name,
            artifact_location=row.artifact_location,
            lifecycle_stage=LifecycleStage(row.lifecycle_stage),
            creation_time=row.creation_time,
            last_update_time=row.last_update_time,
            workspace=row.workspace,
            tags=tags.get(row.experiment_id, {}),
        )
        for row in rows
    )


def _read_tags(connection: Connection, numbers: list[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    if numbers:
        statement = sa.select(EXPERIMENT_TAG).where(EXPERIMENT_TAG.c.experiment_id.in_(numbers))
        for row in connection.execute(statement.order_by(EXPERIMENT_TAG.c.key)):
            found.setdefault(row.experiment_id, {})[row.key] = row.value
    return found


def _write_tags(connection: Connection, number: int, tags: Mapping[str, str]) -> None:
    if tags:
        rows = [{"experiment_id": number, "key": key, "value": value} for key, value in tags.items()]
        connection.execute(upsert(connection, EXPERIMENT_TAG, update=("value",)), rows)


def _next_number(connection: Connection) -> int:
    # 0 stays free for the default workspace's Default.
    highest: int | None = connection.scalar(sa.select(sa.func.max(EXPERIMENT.c.experiment_id)))
    return (highest or 0) + 1


def _check_tag(key: str, value: str) -> tuple[str, str]:
    key = check_key("tag", key)
    return key, check_text(f"value of tag {key!r}", value, MAX_EXPERIMENT_TAG_VALUE_LENGTH)


def _first(found: tuple[Experiment, ...]) -> Experiment | None:
    return found[0] if found else None


def _name_taken(name: str, lifecycle_stage: LifecycleStage) -> AlreadyExists:
    deleted = lifecycle_stage is LifecycleStage.DELETED
    return AlreadyExists(
        f"Experiment(name={shorten(name)}) already exists{' in deleted state' if deleted else ''}.",
        remedy="Restore it, or choose another name." if deleted else "Use it, or choose another name.",
        kind="experiment",
        key=name,
    )
