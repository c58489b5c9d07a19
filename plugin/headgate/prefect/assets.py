"""Models and data as Prefect's assets: the graph of what is made of what, where Prefect Cloud draws it.

Prefect's own server has no page for assets and shows their events in the feed; the lineage there is an artifact. A task
of your own declares what it makes as it always does, with ``@materialize(model_asset("churn", alias="champion"))``; one
of Headgate's by :func:`materializing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ParamSpec, TypeVar
from urllib.parse import quote

from prefect.assets import Asset, AssetProperties
from prefect.tasks import MaterializingTask as PrefectMaterializingTask

from headgate.prefect.tasks.base import HeadgateTask

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST_KEY = 512


def model_asset(model: str, *, alias: str | None = None, stage: str | None = None) -> Asset:
    """Return the asset of a registered model, or of what one of its aliases or stages stands for.

    Raises:
        InvalidInput: alias and stage are both given, or the names are too long for a key.
    """
    from headgate.store.errors import InvalidInput
    from headgate.store.targets import parse_target

    if alias is not None and stage is not None:
        raise InvalidInput("An asset is of an alias or of a stage.", remedy="Say one of them.")
    place = ""
    if alias is not None or stage is not None:
        target = parse_target(f"@{alias.removeprefix('@')}" if alias is not None else f"stage:{stage}")
        place = f"/alias/{target.alias}" if target.alias is not None else f"/stage/{target.stage}"
    return _asset(f"headgate://models/{_quoted(model)}{place}", f"{model}{place.replace('/', ' ')}")


def dataset_asset(name: str) -> Asset:
    """Return the asset of a dataset, whatever its digest at some time.

    Raises:
        InvalidInput: the name is too long for a key.
    """
    return _asset(f"headgate://datasets/{_quoted(name)}", name)


class MaterializingTask(HeadgateTask[P, R], PrefectMaterializingTask[P, R]):
    """A task of Headgate's that says what it makes."""


def materializing(task: HeadgateTask[P, R], *assets: Asset, of: Sequence[Asset] = ()) -> MaterializingTask[P, R]:
    """Return a task of Headgate's that says what it makes, and of what.

    Args:
        task: such as ``promote_model``.
        assets: what it makes when it succeeds.
        of: what it makes it of, beside what the tasks before it made.
    """
    return MaterializingTask(
        task.fn,
        assets=list(assets),
        materialized_by="headgate",
        asset_deps=list(of),
        name=task.name,
        tags=task.tags,
        cache_policy=task.cache_policy,
        retries=task.retries,
        retry_delay_seconds=task.retry_delay_seconds,
        retry_condition_fn=task.retry_condition_fn,
        task_run_name=task.task_run_name,
        timeout_seconds=task.timeout_seconds,
    )


def _asset(key: str, name: str) -> Asset:
    from headgate.store.errors import InvalidInput

    if len(key) > _LONGEST_KEY:
        raise InvalidInput(
            f"The asset of {name[:60]!r}… would have a key of {len(key)} characters.",
            remedy=f"Prefect takes {_LONGEST_KEY}; give it a shorter name.",
        )
    return Asset(key=key, properties=AssetProperties(name=name))


def _quoted(text: str) -> str:
    """Return a name as a segment of a key; percent-encoded, but for the percent sign, which Prefect refuses."""
    return quote(text, safe="").replace("~", "%7E").replace("%", "~")
