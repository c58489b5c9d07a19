"""Models and datasets as Airflow assets, for the ``schedule``, ``inlets`` and ``outlets`` of DAGs.

::

    with DAG("deploy", schedule=[model_asset("tumor-screening", alias="champion")]):

        @task
        def roll_out() -> None:
            model = promoted_model(get_current_context())
            ...  # model.version, model.verdict_id, model.run_id

Such a DAG runs on every promotion and rollback of the alias, wherever it was made: a task of this Airflow emits the
event with its success (:mod:`headgate.airflow.asset_events`), and a watcher in the triggerer emits those from
elsewhere (:mod:`headgate.airflow.triggers`), each exactly once.

The assets of operators are added to their ``outlets`` by themselves, and those of the data that they read to their
``inlets``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from headgate.airflow.asset_uris import DATASETS, MODELS, AssetName, read_uri
from headgate.airflow.connection import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Asset


def model_asset(
    name: str,
    *,
    alias: str | None = None,
    stage: str | None = None,
    headgate_conn_id: str = DEFAULT_CONN_ID,
) -> Asset:
    """Return the Airflow asset of a registered model, or of one of its aliases or stages.

    Args:
        name: of the registered model, which need not exist yet.
        alias: such as ``champion``: an event per promotion and rollback of the alias.
        stage: ``Staging`` or ``Production``: the same for a stage. With neither, an event per registered version.
        headgate_conn_id: of the connection that names the store.

    Raises:
        InvalidInput: both an alias and a stage, or a name that can't be one.
    """
    from airflow.sdk import AssetWatcher
    from airflow.sdk.definitions.asset import Model

    from headgate.store.errors import InvalidInput
    from headgate.store.targets import parse_target

    if alias is not None and stage is not None:
        raise InvalidInput(
            f"The asset of model {name!r} is to be that of an alias and of a stage.", remedy="Name one of them."
        )
    if not name.strip() or "/" in name or ":" in name:
        raise InvalidInput(
            f"{name!r} is not the name of a registered model.", remedy="It is not empty, and has no slash or colon."
        )
    said = f"@{alias}" if alias is not None else f"stage:{stage}" if stage is not None else None
    target = None if said is None else str(parse_target(said))
    named = AssetName(MODELS, name, target, headgate_conn_id)
    extra: dict[str, Any] = {"headgate_conn_id": headgate_conn_id, "model_name": name, "target": target}
    if target is None:
        return Model(name=named.title, uri=named.uri, extra=extra)

    from headgate.airflow.triggers import PromotionTrigger

    trigger = PromotionTrigger(model_name=name, target=target, headgate_conn_id=headgate_conn_id)
    watcher = AssetWatcher(name=f"{named.title} promotions", trigger=trigger)
    return Model(name=named.title, uri=named.uri, extra=extra, watchers=[watcher])


def target_asset(name: str, target: str | None, headgate_conn_id: str = DEFAULT_CONN_ID) -> Asset:
    """Return the asset of a model's target, written ``@alias`` or ``stage:Name``; None is its registered versions."""
    from headgate.store.targets import parse_target

    if target is None:
        return model_asset(name, headgate_conn_id=headgate_conn_id)
    said = parse_target(target)
    return model_asset(name, alias=said.alias, stage=said.stage, headgate_conn_id=headgate_conn_id)


def dataset_asset(name: str, uri: str | None = None, *, headgate_conn_id: str = DEFAULT_CONN_ID) -> Asset:
    """Return the Airflow asset of a dataset, for the ``inlets`` of tasks that read it and the ``outlets`` of its maker.

    Args:
        name: of the dataset, as runs log it.
        uri: where it is (``s3://bucket/holdout.parquet``), which other DAGs may name too; None is its name in
            the store.
        headgate_conn_id: of the connection that names the store.
    """
    from airflow.sdk.definitions.asset import Dataset

    named = AssetName(DATASETS, name, None, headgate_conn_id)
    extra: dict[str, Any] = {"headgate_conn_id": headgate_conn_id, "dataset_name": name}
    return Dataset(name=named.title, uri=uri or named.uri, extra=extra)


def dataset_inlets(
    said: Iterable[Any], name: Any, place: Any = None, headgate_conn_id: str = DEFAULT_CONN_ID
) -> list[Any]:
    """Return an operator's inlets with the asset of the data that it reads, where that is known while a DAG is parsed.

    Args:
        said: what the user gave; an asset of this name is theirs to describe.
        name: of the dataset; None takes that of the file.
        place: a path or a URI of the data. What is at ``models:/…`` is a model.
    """
    given = list(said)
    if name is None and isinstance(place, str | PurePath):
        name = _name_at(str(place))
    if any(
        not isinstance(field, str) or not field or "{{" in field or "{%" in field for field in (name, headgate_conn_id)
    ):
        return given
    asset = dataset_asset(name, headgate_conn_id=headgate_conn_id)
    return given if any(getattr(inlet, "name", None) == asset.name for inlet in given) else [*given, asset]


def _name_at(place: str) -> str | None:
    """Return the name of the data at a place, without its ending and the query of a URL; None for a model."""
    if place.startswith("models:"):
        return None
    path = place.partition("?")[0] if "://" in place else place
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1].partition(".")[0]


def model_of_asset(asset: Any) -> AssetName | None:
    """Return what an asset of a model stands for; None for any other asset, alias or reference."""
    uri = getattr(asset, "uri", None)
    if not isinstance(uri, str) or not uri.startswith("headgate://"):
        return None
    named = read_uri(uri)
    return named if named.kind == MODELS else None
