"""What was promoted, as the event of a promotion tells it to the DAGs that it triggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from headgate.airflow.assets import model_of_asset
from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.tasks import promoted

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.airflow.asset_uris import AssetName
    from headgate.store.store import Store

# So far back events of one asset are looked through for one that told the same promotion.
_EARLIER_EVENTS = 100


@dataclass(frozen=True, slots=True)
class PromotedModel(promoted.PromotedModel):
    """A promotion or a rollback, as its asset event's ``extra`` has it.

    Args:
        headgate_conn_id: of the connection that names the store.
    """

    headgate_conn_id: str = DEFAULT_CONN_ID

    def as_extra(self) -> dict[str, Any]:
        """Return the ``extra`` of an asset event: JSON values."""
        return asdict(self)


def promoted_model(
    context: Context,
    model_name: str | None = None,
    *,
    alias: str | None = None,
    stage: str | None = None,
    headgate_conn_id: str = DEFAULT_CONN_ID,
) -> PromotedModel:
    """Return what was promoted, to a task of a DAG that ``model_asset`` schedules.

    Several promotions may have come together before the DAG run started: this is the newest. A run that nothing
    triggered (by hand, by a timetable) gets the promotion that stands in the store now, when it is said of what.

    An event only says which promotion it tells of: what it was is read from the store that the event's asset belongs
    to. So nobody who may post events makes up a version, and a retry learns what has become of it since.

    Args:
        context: of the task.
        model_name: only promotions of this model, where the DAG is scheduled by several; with ``alias`` or ``stage``.
        alias: such as ``champion``.
        stage: ``Staging`` or ``Production``.
        headgate_conn_id: of the connection that names the store.

    Raises:
        AirflowSkipException: there is nothing to do: another run of this DAG was triggered by this promotion before,
            which happens when the triggerer dies between telling Airflow and noting it; or another promotion of the
            target has come since.
        NotFound: no event tells of such a promotion, and the store has none either; or an event tells of a promotion
            that the store does not have.
        InvalidInput: an event of an asset tells of the promotion of something else.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    told = [each for each in _told(context) if _is_of(each.asset, model_name, alias, stage)]
    if not told:
        return _standing(model_name, alias, stage, headgate_conn_id)
    newest = _recorded(told)[-1]
    what = f"The promotion of {newest.model_name}{newest.target} to version {newest.version}"
    if newest.late:
        raise AirflowSkipException(f"{what} was followed by another, to {newest.superseded_by}.")
    if (run_id := _told_before(context, newest.promotion_id)) is not None:
        raise AirflowSkipException(f"{what} was told to the DAG run {run_id} before.")
    return newest


def promoted_models(context: Context) -> tuple[PromotedModel, ...]:
    """Return every promotion that triggered the DAG run, each once, the oldest first; without any, an empty tuple.

    Raises:
        NotFound, InvalidInput, StoreUnavailable: as :func:`promoted_model`.
    """
    return _recorded(_told(context))


def from_extra(extra: Mapping[str, Any] | None) -> PromotedModel | None:
    """Return what the ``extra`` of an asset event tells, by a task or by a watcher; None when it is no promotion's.

    It is what somebody wrote, who may be anybody who may post events.
    """
    told = extra or {}
    if told.get("from_trigger") and isinstance(told.get("payload"), Mapping):
        told = told["payload"]
    known = fields(PromotedModel)
    if not isinstance(told.get("promotion_id"), str) or any(
        field.default is MISSING and field.name not in told for field in known
    ):
        return None
    return PromotedModel(**{field.name: told[field.name] for field in known if field.name in told})


def promotion_to_tell(store: Store, promotion_id: str, headgate_conn_id: str = DEFAULT_CONN_ID) -> PromotedModel:
    """Return what is to be told now of a promotion in the store.

    Raises:
        NotFound: there is no such promotion.
    """
    told = asdict(promoted.promotion_to_tell(store, promotion_id))
    return PromotedModel(**told, headgate_conn_id=headgate_conn_id)


@dataclass(frozen=True, slots=True)
class _Told:
    """That an event of an asset told of a promotion."""

    asset: AssetName
    promotion_id: str
    event: Any


def _told(context: Context) -> list[_Told]:
    """Return what triggered the DAG run; an event that came through an alias is among it twice."""
    events = context.get("triggering_asset_events") or {}
    return [
        _Told(asset, model.promotion_id, event)
        for key in events
        for event in events[key]
        if (asset := model_of_asset(event.asset)) is not None
        and asset.target is not None
        and (model := from_extra(event.extra)) is not None
    ]


def _recorded(told: Iterable[_Told]) -> tuple[PromotedModel, ...]:
    """Return what the stores have of promotions that were told, each once, the oldest first."""
    from headgate.airflow.connection import open_store_of

    wanted: dict[str, set[tuple[str, AssetName]]] = {}
    for each in told:
        wanted.setdefault(each.asset.headgate_conn_id, set()).add((each.promotion_id, each.asset))
    found: dict[str, PromotedModel] = {}
    for conn_id, promotions in wanted.items():
        with open_store_of(conn_id) as store:
            for promotion_id, asset in promotions:
                found[promotion_id] = _record(store, promotion_id, asset)
    return tuple(sorted(found.values(), key=lambda model: (model.promoted_at, model.sequence)))


def _record(store: Store, promotion_id: str, asset: AssetName) -> PromotedModel:
    from headgate.store.errors import InvalidInput, NotFound

    try:
        model = promotion_to_tell(store, promotion_id, asset.headgate_conn_id)
    except NotFound as error:
        raise NotFound(
            f"An event of the asset {asset.title!r} tells of the promotion {promotion_id!r}, which its store hasn't.",
            remedy=f"Look where the event came from, and which store the connection {asset.headgate_conn_id!r} names.",
            kind="promotion",
            key=promotion_id,
        ) from error
    if (model.model_name, model.target) != (asset.name, asset.target):
        raise InvalidInput(
            f"An event of the asset {asset.title!r} tells of the promotion {promotion_id!r}, which is one of "
            f"{model.model_name}{model.target}.",
            remedy="Look where the event came from: Headgate writes none like it.",
        )
    return model


def _is_of(asset: AssetName, name: str | None, alias: str | None, stage: str | None) -> bool:
    if name is not None and asset.name != name:
        return False
    if alias is not None:
        return asset.target == f"@{alias}"
    return stage is None or str(asset.target).lower() == f"stage:{stage}".lower()


def _standing(name: str | None, alias: str | None, stage: str | None, conn_id: str) -> PromotedModel:
    from headgate.airflow.connection import open_store_of
    from headgate.store.errors import NotFound

    if name is None or (alias is None) == (stage is None):
        raise NotFound(
            "No promotion triggered this DAG run.",
            remedy="Say which model's alias or stage is meant: a run by hand then takes the promotion that stands.",
            kind="promotion",
            key=name,
        )
    target = f"@{alias}" if alias is not None else f"stage:{stage}"
    with open_store_of(conn_id) as store:
        last = store.promotions.current(name, target)
        if last is not None:
            return promotion_to_tell(store, last.promotion_id, conn_id)
    raise NotFound(
        f"Nothing was ever promoted to {target} of model {name!r}.",
        remedy="Promote a version through a gate first.",
        kind="promotion",
        key=f"{name}{target}",
    )


def _told_before(context: Context, promotion_id: str) -> str | None:
    """Return another run of this DAG that an earlier event of the same promotion triggered; None when there is none."""
    from airflow.sdk.execution_time.context import InletEventsAccessor

    instance = context["ti"]
    mine = [each.event for each in _told(context) if each.promotion_id == promotion_id]
    first = min(mine, key=lambda event: event.timestamp)
    earlier = InletEventsAccessor(asset_name=first.asset.name, asset_uri=first.asset.uri)
    for event in earlier.before(first.timestamp.isoformat()).ascending(False).limit(_EARLIER_EVENTS):
        found = from_extra(event.extra)
        if event.timestamp >= first.timestamp or found is None or found.promotion_id != promotion_id:
            continue
        for run in event.created_dagruns:
            if run.dag_id == instance.dag_id and run.run_id != instance.run_id:
                return str(run.run_id)
    return None
