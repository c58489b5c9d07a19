"""LoggedModels (MLflow 3): models as experiments record them, before and beside any registry."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, select, update

from headgate.store.database import Database
from headgate.store.dialects import upsert
from headgate.store.entities import LifecycleStage, LoggedModel, LoggedModelInfo, LoggedModelStatus, Metric, Page
from headgate.store.errors import ModelPromoted, NotFound
from headgate.store.logged_model_rows import (
    active_row,
    create_logged_model,
    get_logged_model,
    lock_experiment,
    log_model_params,
    newest_by_name,
    no_such_model,
    pair_rows,
    read_logged_models,
    read_metrics_of_runs,
    read_model_metrics,
)
from headgate.store.model_metrics import log_model_metrics
from headgate.store.model_names import check_logged_model_name, check_model_pairs
from headgate.store.promotion_rows import promotion_of_model
from headgate.store.run_names import random_run_name
from headgate.store.search.logged_models import DatasetFilter, LoggedModelOrder, search_logged_models
from headgate.store.tables import LoggedModelRow, LoggedModelTagRow
from headgate.store.tables.base import NAME_LENGTH
from headgate.store.validation import check_run_id, check_text, check_timestamp

EXTERNAL_TAG = "mlflow.model.isExternal"

_MAX_MESSAGE = 10_000

_MODEL = LoggedModelRow.__table__
_TAG = LoggedModelTagRow.__table__


class LoggedModels:
    """Every LoggedModel of the store. Timestamps (``now``) are UTC epoch milliseconds.

    Args:
        database: the store's.
        workspace: the workspace whose experiments models are made in.
    """

    def __init__(self, database: Database, workspace: str) -> None:
        self._database = database
        self._workspace = workspace

    def create(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        source_run_id: str | None = None,
        model_type: str | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        status: LoggedModelStatus = LoggedModelStatus.PENDING,
        now: int,
    ) -> LoggedModel:
        """Create a model. Run twice, it makes two: names are not unique.

        Args:
            experiment_id: an active experiment; the model's artifacts go below its artifact location.
            name: None makes one up, such as ``bright-owl-417``.
            source_run_id: the run that made the model.
            model_type: a word of the user's own, for searches.
            params: strings; they are never changed afterwards.
            tags: may be changed at any time.
            status: READY for a model whose files are not kept here.

        Raises:
            InvalidInput: a bad name, key or value, or the experiment was deleted.
            NotFound: no such experiment.
        """
        draft = _draft(experiment_id, name, source_run_id, model_type, params, tags, status, now)
        return self._database.transact(lambda conn: create_logged_model(conn, self._workspace, draft))

    def create_external_model(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        source_run_id: str | None = None,
        model_type: str | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        now: int,
    ) -> LoggedModel:
        """Create a READY model whose files are kept elsewhere, tagged ``mlflow.model.isExternal``.

        Arguments and errors are those of :meth:`create`.
        """
        tags = {**(tags or {}), EXTERNAL_TAG: "true"}
        ready = LoggedModelStatus.READY
        draft = _draft(experiment_id, name, source_run_id, model_type, params, tags, ready, now)
        return self._database.transact(lambda conn: create_logged_model(conn, self._workspace, draft))

    def get_or_create_active(
        self, experiment_id: str, name: str, *, tags: Mapping[str, str] | None = None, now: int
    ) -> LoggedModel:
        """Return the newest model of this name, or make an external one: what ``set_active_model(name=…)`` needs.

        Two processes that ask at once get the same model. ``tags`` are those of a model that is made.

        Raises:
            InvalidInput: a bad name, or the experiment was deleted.
            NotFound: no such experiment.
        """
        external = {**(tags or {}), EXTERNAL_TAG: "true"}
        draft = _draft(experiment_id, name, None, None, None, external, LoggedModelStatus.READY, now)

        def work(conn: Connection) -> LoggedModel:
            lock_experiment(conn, self._workspace, experiment_id)
            return newest_by_name(conn, experiment_id, name) or create_logged_model(conn, self._workspace, draft)

        return self._database.transact(work)

    def get(self, model_id: str) -> LoggedModel:
        """Return a model with its tags, params and metrics.

        Raises:
            NotFound: no such model, or it was deleted.
        """
        with self._database.read() as conn:
            return get_logged_model(conn, model_id)

    def get_many(self, model_ids: Sequence[str]) -> tuple[LoggedModel, ...]:
        """Return the models that exist and are not deleted, in the order of their ids."""
        with self._database.read() as conn:
            found = read_logged_models(conn, model_ids)
        return tuple(found[model_id] for model_id in dict.fromkeys(model_ids) if model_id in found)

    def search(
        self,
        experiment_ids: Sequence[str],
        filter: str | None = None,  # noqa: A002  # MLflow's word
        *,
        datasets: Sequence[DatasetFilter] = (),
        order_by: Sequence[LoggedModelOrder] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        """Return one page of the models that match; see :func:`headgate.store.search.search_logged_models`.

        Raises:
            InvalidFilter: ``filter`` or ``order_by`` can't be read.
            InvalidInput: another argument is not valid, or the token belongs to another search.
        """
        return search_logged_models(
            self._database,
            experiment_ids,
            filter,
            datasets=datasets,
            order_by=order_by,
            max_results=max_results,
            page_token=page_token,
        )

    def newest_by_name(self, experiment_id: str, name: str) -> LoggedModel | None:
        """Return the newest model of this name in an experiment; None when there is none."""
        with self._database.read() as conn:
            return newest_by_name(conn, experiment_id, name)

    def metrics(self, model_id: str) -> tuple[Metric, ...]:
        """Return every point measured on a model, with its run and dataset, in the order they were written.

        Raises:
            NotFound: no such model, or it was deleted.
        """
        with self._database.read() as conn:
            active_row(conn, model_id)
            return read_model_metrics(conn, [model_id]).get(model_id, ())

    def measured_by(self, run_ids: Sequence[str]) -> tuple[Metric, ...]:
        """Return every point that some runs measured on models, in the order they were written."""
        with self._database.read() as conn:
            return read_metrics_of_runs(conn, run_ids)

    def finalize(
        self,
        model_id: str,
        status: LoggedModelStatus,
        status_message: str | None = None,
        artifact_digest: str | None = None,
        *,
        now: int,
    ) -> LoggedModel:
        """Say how the upload of a model ended. It may be said again, as in MLflow, until the model is promoted.

        Args:
            model_id: a model that is not deleted.
            status: READY or FAILED.
            status_message: why, for people.
            artifact_digest: SHA-256 over the names and digests of its files; None keeps what is recorded.

        Raises:
            NotFound: no such model, or it was deleted.
            ModelPromoted: the model was promoted, and this is not what is recorded of it.
        """
        changes: dict[str, Any] = {
            "status": LoggedModelStatus(status),
            "status_message": status_message and check_text("status message", status_message, _MAX_MESSAGE),
            "last_updated_timestamp": now,
        }
        if artifact_digest is not None:
            changes["artifact_digest"] = artifact_digest

        def work(conn: Connection) -> LoggedModel:
            row = active_row(conn, model_id)
            if row.artifact_digest is not None and (
                changes["status"] != row.status
                or changes.get("artifact_digest", row.artifact_digest) != row.artifact_digest
            ):
                require_not_promoted(conn, model_id)
            conn.execute(update(_MODEL).where(_MODEL.c.model_id == model_id).values(**changes))
            return get_logged_model(conn, model_id)

        return self._database.transact(work)

    def log_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Write params once. The same value again is no error.

        Raises:
            ParamChanged: a param is there with another value; none of ``params`` was written.
            NotFound: no such model, or it was deleted.
        """
        checked = check_model_pairs("param", params)
        self._database.transact(lambda conn: log_model_params(conn, model_id, checked))

    def set_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, over those of the same keys.

        Raises:
            NotFound: no such model, or it was deleted.
        """
        checked = check_model_pairs("tag", tags)

        def work(conn: Connection) -> None:
            row = active_row(conn, model_id)
            if checked:
                statement = upsert(conn, _TAG, update=("value", "value_head"))
                conn.execute(statement, pair_rows(model_id, row.experiment_id, checked))

        self._database.transact(work)

    def delete_tag(self, model_id: str, key: str) -> None:
        """Remove a tag.

        Raises:
            NotFound: no such model, or it has no such tag.
        """

        def work(conn: Connection) -> None:
            active_row(conn, model_id)
            if conn.execute(delete(_TAG).where(_TAG.c.model_id == model_id, _TAG.c.key == key)).rowcount == 0:
                raise NotFound(
                    f"No tag with key {key!r} found for model with ID {model_id!r}.",
                    remedy="Check the key.",
                    kind="logged model tag",
                    key=key,
                    model_id=model_id,
                )

        self._database.transact(work)

    def log_metrics(self, model_id: str, metrics: Sequence[Metric]) -> None:
        """Write points measured on a model. The same point again is stored once.

        Args:
            model_id: a model that is not deleted.
            metrics: each with the run and dataset it comes from; a ``model_id`` in them is not read.

        Raises:
            InvalidInput: a key, value, timestamp or step is not valid.
            NotFound: no such model, or it was deleted.
        """
        by_run: dict[str, list[Metric]] = {}
        for metric in metrics:
            by_run.setdefault(metric.run_id or "", []).append(replace(metric, model_id=model_id))

        def work(conn: Connection) -> None:
            active_row(conn, model_id)
            for run_id, measured in by_run.items():
                log_model_metrics(conn, run_id, measured)

        self._database.transact(work)

    def get_info(self, model_id: str) -> LoggedModelInfo:
        """Return what a model is known by, in one statement however much was measured on it.

        Raises:
            NotFound: no such model, or it was deleted.
        """
        with self._database.read() as conn:
            row = active_row(conn, model_id)
        known = {**row._mapping, "experiment_id": str(row.experiment_id), "status": LoggedModelStatus(row.status)}
        return LoggedModelInfo(**known)

    def require_not_promoted(self, model_id: str) -> None:
        """Refuse to go on when a model was promoted: nobody writes its files any more.

        Raises:
            ModelPromoted: names the model and what it was promoted to.
        """
        with self._database.read() as conn:
            require_not_promoted(conn, model_id)

    def delete(self, model_id: str, *, now: int) -> None:
        """Mark a model as deleted; :meth:`restore` brings it back. Deleting it again changes nothing.

        Raises:
            NotFound: there never was such a model.
            ModelPromoted: a rollback may need it. Delete the registered model first.
        """
        self._set_stage(model_id, LifecycleStage.DELETED, deleted_timestamp=now, now=now)

    def restore(self, model_id: str, *, now: int) -> None:
        """Bring a deleted model back. Restoring an active one changes nothing.

        Raises:
            NotFound: there never was such a model.
        """
        self._set_stage(model_id, LifecycleStage.ACTIVE, deleted_timestamp=None, now=now)

    def _set_stage(self, model_id: str, stage: LifecycleStage, *, deleted_timestamp: int | None, now: int) -> None:
        def work(conn: Connection) -> None:
            known = select(_MODEL.c.lifecycle_stage).where(_MODEL.c.model_id == model_id).with_for_update()
            current = conn.execute(known).scalar()
            if current is None:
                raise no_such_model(model_id)
            if current != stage:
                if stage is LifecycleStage.DELETED:
                    require_not_promoted(conn, model_id)
                changes = {
                    "lifecycle_stage": stage,
                    "deleted_timestamp": deleted_timestamp,
                    "last_updated_timestamp": now,
                }
                conn.execute(update(_MODEL).where(_MODEL.c.model_id == model_id).values(**changes))

        self._database.transact(work)


def require_not_promoted(conn: Connection, model_id: str) -> None:
    """As :meth:`LoggedModels.require_not_promoted`, within the caller's transaction."""
    promoted = promotion_of_model(conn, model_id)
    if promoted is not None:
        raise ModelPromoted(
            f"Model {model_id} was promoted to {promoted.target} of {promoted.model_name!r} as version "
            f"{promoted.to_version}: it stays as its gate judged it.",
            remedy="Log a new model, and promote that one.",
            model_id=model_id,
        )


def _draft(
    experiment_id: str,
    name: str | None,
    source_run_id: str | None,
    model_type: str | None,
    params: Mapping[str, str] | None,
    tags: Mapping[str, str] | None,
    status: LoggedModelStatus,
    now: int,
) -> LoggedModel:
    check_logged_model_name(name)
    check_timestamp("creation time", now)
    return LoggedModel(
        model_id=f"m-{uuid.uuid4().hex}",
        experiment_id=experiment_id,
        name=name or random_run_name(),
        artifact_location="",
        creation_timestamp=now,
        last_updated_timestamp=now,
        status=LoggedModelStatus(status),
        model_type=model_type and check_text("model type", model_type, NAME_LENGTH),
        source_run_id=source_run_id and check_run_id(source_run_id),
        params=check_model_pairs("param", params),
        tags=check_model_pairs("tag", tags),
    )
