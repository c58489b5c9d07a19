"""When a pipeline runs, in Prefect's terms: a cron schedule, and triggers for assets and promotions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.schedules import Schedule as PrefectSchedule

    from headgate.flows.model import Pipeline

SLUG = "pipeline"
"""Names the schedule of a pipeline's file among those that somebody adds to a deployment."""

_MATERIALISED = "prefect.asset.materialization.succeeded"


def flow_schedules(pipeline: Pipeline) -> list[PrefectSchedule]:
    """Return the schedules of a deployment that the pipeline's cron expression makes; none without one."""
    from prefect.schedules import Cron

    schedule = pipeline.schedule
    if schedule is None or schedule.cron is None:
        return []
    return [Cron(schedule.cron, timezone=schedule.timezone, slug=SLUG)]


def flow_triggers(pipeline: Pipeline) -> list[Any]:
    """Return the triggers of a deployment that the pipeline's ``assets`` and ``after`` make.

    Several assets are one trigger: the pipeline runs once all of them were materialised. Each promotion is one.

    Raises:
        InvalidPipeline: an asset is named by something that is no URI; with file and line.
    """
    schedule = pipeline.schedule
    if schedule is None:
        return []
    return [*_asset_triggers(pipeline, schedule.assets), *(_promotion_trigger(after) for after in schedule.after)]


def _asset_triggers(pipeline: Pipeline, assets: tuple[str, ...]) -> list[Any]:
    from prefect.events import DeploymentCompoundTrigger, DeploymentEventTrigger

    _refuse_names(pipeline, assets)
    each = [
        DeploymentEventTrigger(
            name=f"{pipeline.name} after {uri}", expect={_MATERIALISED}, match={"prefect.resource.id": uri}
        )
        for uri in assets
    ]
    if len(each) < 2:
        return list(each)
    return [
        DeploymentCompoundTrigger(
            name=f"{pipeline.name} after its assets", require="all", within=None, triggers=list(each)
        )
    ]


def _promotion_trigger(after: str) -> Any:
    from headgate.flows.schedule import after_target
    from headgate.prefect.triggers import promoted
    from headgate.store.targets import parse_target

    model, target = after_target(after)
    place = parse_target(target)
    return promoted(model, alias=place.alias, stage=place.stage, parameters={})


def _refuse_names(pipeline: Pipeline, assets: tuple[str, ...]) -> None:
    from headgate.flows.check import mistake_at
    from headgate.flows.mistakes import invalid_pipeline

    mistakes = [
        mistake_at(
            pipeline,
            ("schedule",),
            f"The schedule names the asset {asset!r}, and Prefect knows assets by their URI.",
            "Write the asset's key, such as s3://bucket/data.parquet.",
        )
        for asset in assets
        if "://" not in asset
    ]
    if mistakes:
        raise invalid_pipeline(mistakes, pipeline.label)
