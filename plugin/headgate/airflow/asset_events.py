"""The asset events that tasks of this Airflow emit: a version was registered, a model was promoted or rolled back.

Exactly once per promotion
==========================

A promotion has one event in the store's outbox, and this Airflow is one *channel* of it. Two may tell it: the task that
promoted, with its own success (Airflow writes the state of a task and the events of its ``outlets`` in one
transaction), and a watcher in the triggerer, for promotions from anywhere else. Which of the two does is decided by the
claim of the event's delivery: the task makes it in the very transaction of the promotion, so no watcher is faster.

Where things may die, and what happens then:

==  ===========================================  =======================================================================
1   before the promotion commits                 nothing happened; a retry promotes
2   after it, before the task's success          the claim stands. A retry gets the same promotion from the store, finds
                                                 the claim its own, and emits. When none comes within half a minute, the
                                                 claim runs out: a watcher asks Airflow, learns that the task failed, is
                                                 gone or waits for a retry, takes the claim over and emits; the retry
                                                 finds the event told
3   the task is still at work when its claim     the watcher learns so, and leaves the claim alone
    runs out
4   with the success refused by the server       Airflow wrote neither state nor events. The listener (see 5) looks
    (somebody marked the task failed meanwhile)  for the event and does not find it: as 2
5   after the success, before the listener       the event is told, the delivery unconfirmed. The watcher finds the task
    confirmed the delivery                       successful and the mark that ``emit_promotion`` left in its XComs, and
                                                 confirms in its name. A task that was only *marked* successful by hand
                                                 has no such mark: the watcher emits. When the task is cleared instead,
                                                 its next run finds the event in Airflow, and confirms
6   a cleared task runs again after all that     it gets the same promotion, finds the delivery done, emits nothing
7   the watcher, before it told Airflow          its claim runs out, and a watcher takes it over
8   the watcher, after Airflow wrote the event   Airflow says so to the watcher about a second later. If the triggerer
    and before it confirmed the delivery         dies within that second, the event is told again: the one case. It has
                                                 the same ``promotion_id``, and ``promoted_model`` skips the second run
                                                 of a DAG when the first one was triggered by it already
9   the store does not answer the watcher        it asks again, ever more slowly; the outbox keeps everything
10  the task's promotion was followed by         whoever tells the event says that it is ``late``; ``promoted_model``
    another before it could be told              then skips
==  ===========================================  =======================================================================

A gate that rejects emits nothing, even where its task succeeds: the assets of an operator are taken off its ``outlets``
before it works (:func:`hold_back`) and put back by the promotion. What a user adds to ``outlets`` stays there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headgate.airflow.assets import model_of_asset, target_asset
from headgate.airflow.channel import event_channel, task_claim, task_key
from headgate.airflow.connection import DEFAULT_CONN_ID, open_store_of
from headgate.airflow.promoted import from_extra, promotion_to_tell

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

    from headgate.airflow.promoted import PromotedModel
    from headgate.store.entities import ModelVersion, Promotion
    from headgate.store.store import Store

# Of a task that emits a promotion's event: the promotion's id.
XCOM_KEY = "headgate_promotion_event"
# Outlet of tasks that learn which model they are about only when they run.
ALIAS = "headgate-models"

_LOOKED_THROUGH = 100
_log = logging.getLogger("airflow.task.headgate")
# What the task of this process emits with its success: who claimed it, and the promotion.
_emitted: list[tuple[str, PromotedModel]] = []


def model_outlets(
    said: Iterable[Any], model_name: str, target: str | None, headgate_conn_id: str = DEFAULT_CONN_ID
) -> list[Any]:
    """Return an operator's outlets with the asset of the model that it is about; for its ``__init__``.

    Args:
        said: what the user gave.
        model_name, target: the operator's fields. With a template in either, the asset is known only when the task
            runs: an alias stands for it.
    """
    from airflow.sdk import AssetAlias

    given = list(said)
    fields = (model_name, target or "", headgate_conn_id)
    if any(not isinstance(field, str) or "{{" in field or "{%" in field for field in fields):
        return given if any(_is_alias(outlet) for outlet in given) else [*given, AssetAlias(ALIAS, group="model")]
    asset = target_asset(model_name, target, headgate_conn_id)
    return given if any(_same(outlet, asset) for outlet in given) else [*given, asset]


def hold_back(context: Context) -> None:
    """Take the assets of models off the outlets of the task that runs: its success alone shall emit no event of them.

    To be called before the task does anything; :func:`emit_promotion` and :func:`emit_registered` put theirs back.
    """
    task = context["task"]
    task.outlets = [outlet for outlet in context["outlets"] if model_of_asset(outlet) is None]


def emit_promotion(
    context: Context, store: Store, promotion: Promotion, *, headgate_conn_id: str = DEFAULT_CONN_ID
) -> bool:
    """Let the success of this task emit the event of a promotion, unless it was or is being told by somebody else.

    May run twice: it runs in every try, and after a clear.

    Args:
        store: where the promotion is.
        promotion: by this task, made with ``claim=task_claim(context)`` or found again by a retry.
        headgate_conn_id: of the connection that names the store.

    Returns:
        Whether the event comes with the success of this task.

    Raises:
        StoreUnavailable: a retry may help.
    """
    from headgate.store.clock import now_ms

    claim = task_claim(context)
    if not store.deliveries.claim(promotion.promotion_id, claim, now=now_ms()):
        _log.info("The event of promotion %s is told already; this task emits none.", promotion.promotion_id)
        return False
    model = promotion_to_tell(store, promotion.promotion_id, headgate_conn_id)
    asset = target_asset(model.model_name, model.target, headgate_conn_id)
    if _is_in_airflow(asset, model.promotion_id):
        store.deliveries.confirm(claim.channel, promotion.promotion_id, claim.owner, now=now_ms())
        _log.info("An earlier run of this task emitted the event of promotion %s.", promotion.promotion_id)
        return False
    _attach(context, asset, model.as_extra())
    context["ti"].xcom_push(key=XCOM_KEY, value=promotion.promotion_id)
    _emitted.append((claim.owner, model))
    return True


def emit_registered(
    context: Context, version: ModelVersion, *, digest: str | None = None, headgate_conn_id: str = DEFAULT_CONN_ID
) -> None:
    """Let the success of this task emit the event of a registered version.

    Args:
        version: that the task registered.
        digest: of the LoggedModel's files.
        headgate_conn_id: of the connection that names the store.
    """
    extra = {
        "model_name": version.name,
        "version": version.version,
        "model_id": version.model_id,
        "run_id": version.run_id,
        "digest": digest,
        "headgate_conn_id": headgate_conn_id,
    }
    _attach(context, target_asset(version.name, None, headgate_conn_id), extra)


def describe_outlets(context: Context, extra: Mapping[str, Any]) -> None:
    """Let the events of the assets that the user gave as outlets say what the task hands on.

    Args:
        extra: JSON values, such as the reference to the run that the task made. An event that says something already
            is left as it is.
    """
    from airflow.sdk import Asset

    for outlet in context["task"].outlets:
        if isinstance(outlet, Asset) and not context["outlet_events"][outlet].extra:
            context["outlet_events"][outlet].extra = dict(extra)


def confirm_emitted(task_instance: Any) -> None:
    """Confirm the deliveries of what the task of this process emitted; the listener calls this after its success.

    The success may have been refused by Airflow's server, so what counts is the event that is there. Nothing is lost
    when this fails: the watcher finds out what became of the task.
    """
    from headgate.store.clock import now_ms

    owner = task_key({"ti": task_instance}).owner
    mine = [model for claimed_by, model in _emitted if claimed_by == owner]
    _emitted[:] = [entry for entry in _emitted if entry[0] != owner]
    for model in mine:
        asset = target_asset(model.model_name, model.target, model.headgate_conn_id)
        if not _is_in_airflow(asset, model.promotion_id):
            _log.warning("Airflow did not take the event of promotion %s; a watcher will.", model.promotion_id)
            continue
        with open_store_of(model.headgate_conn_id) as store:
            store.deliveries.confirm(event_channel(), model.promotion_id, owner, now=now_ms())


def _attach(context: Context, asset: Asset, extra: dict[str, Any]) -> None:
    """Give the task that runs its outlets back, with what the event of one asset says.

    An asset that the DAG declares is its task's own. One that became known only now goes through an alias: Airflow
    drops the event of an asset that no DAG declares, and that of a mapped task is not declared even where it could be.
    """
    from airflow.sdk import AssetAlias

    task, events, given = context["task"], context["outlet_events"], list(context["outlets"])
    if any(_same(outlet, asset) for outlet in given) and context["ti"].map_index in (-1, None):
        task.outlets = given
        events[asset].extra = extra
        return
    alias = next((outlet for outlet in given if _is_alias(outlet)), AssetAlias(ALIAS, group="model"))
    task.outlets = [*(outlet for outlet in given if not _is_alias(outlet) and not _same(outlet, asset)), alias]
    events[alias].add(asset, extra=extra)


def _is_in_airflow(asset: Asset, promotion_id: str) -> bool:
    """Say whether an event of the asset tells of the promotion, as far as the newest ones go."""
    from airflow.sdk.execution_time.context import InletEventsAccessor

    newest = InletEventsAccessor(asset_name=asset.name, asset_uri=asset.uri).ascending(False).limit(_LOOKED_THROUGH)
    found = (from_extra(event.extra) for event in newest)
    return any(model is not None and model.promotion_id == promotion_id for model in found)


def _same(outlet: Any, asset: Asset) -> bool:
    return getattr(outlet, "uri", None) == asset.uri


def _is_alias(outlet: Any) -> bool:
    from airflow.sdk import AssetAlias

    return isinstance(outlet, AssetAlias) and outlet.name == ALIAS
