"""What a gate decides on, read from the store in one transaction: the candidate and the holder of its target."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from headgate.store.entities import LifecycleStage, LoggedModelStatus, Metric
from headgate.store.logged_model_rows import metric_of_row, no_such_model
from headgate.store.promotion_checks import Holder
from headgate.store.promotion_rows import read_candidate, read_holder, read_logical_date
from headgate.store.tables import LoggedModelMetricRow, PromotionRow, RunRow, RunTagRow, VerdictCheckRow
from headgate.store.targets import Target
from headgate.store.validation import EVALUATION_TAGS

_CHECK = VerdictCheckRow.__table__
_METRIC = LoggedModelMetricRow.__table__
_PROMOTION = PromotionRow.__table__
_RUN = RunRow.__table__
_TAG = RunTagRow.__table__


@dataclass(frozen=True, slots=True)
class Contender:
    """A model in a decision.

    Args:
        model_id: the LoggedModel; None for a version that was registered without one.
        version: the registered version; None for a candidate.
        status: the LoggedModel's; None without one.
        artifact_digest: digest of its files; None for an external model.
        logical_date: what it stands for in time, epoch ms, where that is known.
        measurements: the newest points of the metrics asked for: per metric and dataset, every point of the highest
            timestamp and step.
    """

    model_id: str | None
    version: int | None = None
    status: LoggedModelStatus | None = None
    artifact_digest: str | None = None
    logical_date: int | None = None
    measurements: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class Contest:
    """A candidate, and the champion that holds its target; None when nobody does."""

    candidate: Contender
    champion: Contender | None


def read_contest(
    conn: Connection,
    workspace: str,
    name: str,
    target: Target,
    candidate_model_id: str,
    metrics: Collection[str],
    run_ids: Collection[str] | None,
    prefixes: Collection[str] = (),
) -> Contest:
    """Return who is compared with whom, within the caller's transaction; arguments as of ``Promotions.contest``."""
    candidate = read_candidate(conn, candidate_model_id)
    if candidate is None or candidate.lifecycle_stage != LifecycleStage.ACTIVE:
        raise no_such_model(candidate_model_id)
    challenger = Contender(
        model_id=candidate.model_id,
        status=LoggedModelStatus(candidate.status),
        artifact_digest=candidate.artifact_digest,
        logical_date=read_logical_date(conn, candidate.model_id),
        measurements=read_measurements(conn, candidate.model_id, metrics, run_ids, prefixes=prefixes),
    )
    holder = read_holder(conn, workspace, name, target)
    if holder is None:
        return Contest(challenger, None)
    known = read_candidate(conn, holder.model_id) if holder.model_id is not None else None
    champion = Contender(
        model_id=holder.model_id,
        version=holder.version,
        status=LoggedModelStatus(known.status) if known is not None else None,
        artifact_digest=known.artifact_digest if known is not None else None,
        logical_date=holder.logical_date,
        measurements=()
        if holder.model_id is None
        else read_measurements(
            conn,
            holder.model_id,
            metrics,
            run_ids,
            prefixes=prefixes,
            or_by=_trusted_with(workspace, name, target, holder),
        ),
    )
    return Contest(challenger, champion)


def _trusted_with(workspace: str, name: str, target: Target, holder: Holder) -> tuple[ColumnElement[bool], ...]:
    """Return which runs' figures of a champion count where those of a candidate are held to some runs.

    Those of evaluations, which only whoever starts a run can make it, and of runs nested in these, and those that its
    own promotion rested on: what anybody else says of the champion must not help a candidate.
    """
    evaluation = exists().where(_TAG.c.run_id == _METRIC.c.run_id, _TAG.c.key.in_(EVALUATION_TAGS))
    nested = (
        exists()
        .where(_RUN.c.run_id == _METRIC.c.run_id, _TAG.c.run_id == _RUN.c.parent_run_id)
        .where(_TAG.c.key.in_(EVALUATION_TAGS))
    )
    rested_on = (
        exists()
        .where(_CHECK.c.verdict_id == _PROMOTION.c.verdict_id, _CHECK.c.run_id == _METRIC.c.run_id)
        .where(_PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name)
        .where(_PROMOTION.c.target == str(target), _PROMOTION.c.to_version == holder.version)
    )
    return evaluation, nested, rested_on


def read_window(
    conn: Connection, model_id: str, metrics: Collection[str], *, since: int, until: int, limit: int
) -> tuple[Metric, ...]:
    """Return the points of some metrics of a model from a span of time (epoch ms, both ends included).

    The oldest first; of more than ``limit`` points, the newest.
    """
    within = and_(
        _METRIC.c.model_id == model_id,
        _METRIC.c.key.in_(metrics),
        _METRIC.c.timestamp >= since,
        _METRIC.c.timestamp <= until,
    )
    newest_first = (_METRIC.c.timestamp.desc(), _METRIC.c.step.desc(), _METRIC.c.metric_id.desc())
    rows = conn.execute(select(_METRIC).where(within).order_by(*newest_first).limit(limit)).all()
    return tuple(metric_of_row(row) for row in reversed(rows))


def read_measurements(
    conn: Connection,
    model_id: str,
    metrics: Collection[str],
    run_ids: Collection[str] | None = None,
    *,
    prefixes: Collection[str] = (),
    or_by: Sequence[ColumnElement[bool]] = (),
) -> tuple[Metric, ...]:
    """Return the newest points of some metrics of a model, per dataset; ``run_ids`` counts only what these measured.

    Metrics whose keys start with one of ``prefixes`` are among them; and beside ``run_ids`` count the runs that one of
    ``or_by`` holds for.
    """
    # A database's LIKE may take capitals for small letters; the keys are compared again below.
    started = (_METRIC.c.key.startswith(prefix, autoescape=True) for prefix in prefixes)
    wanted = select(
        _METRIC,
        func.rank()
        .over(
            partition_by=(_METRIC.c.key, _METRIC.c.dataset_name, _METRIC.c.dataset_digest),
            order_by=(_METRIC.c.timestamp.desc(), _METRIC.c.step.desc()),
        )
        .label("age"),
    ).where(_METRIC.c.model_id == model_id, or_(_METRIC.c.key.in_(metrics), *started))
    if run_ids is not None:
        wanted = wanted.where(or_(_METRIC.c.run_id.in_(run_ids), *or_by))
    wanted_keys = frozenset(metrics)
    points = wanted.subquery()
    newest = select(points).where(points.c.age == 1).order_by(points.c.metric_id)
    rows = conn.execute(newest)
    return tuple(metric_of_row(row) for row in rows if row.key in wanted_keys or row.key.startswith(tuple(prefixes)))
