"""When a pipeline runs, in Airflow's terms: cron, updated assets, promotions, or whichever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Asset

    from headgate.flows.schedule import Schedule


def airflow_schedule(schedule: Schedule | None, headgate_conn_id: str) -> Any:
    """Return what a DAG takes as its ``schedule``.

    The pipeline runs by its cron expression, once all of its ``assets`` were updated, and after each promotion that
    ``after`` names; of these, by whichever comes.

    Args:
        headgate_conn_id: of the connection that names the store whose promotions are meant.
    """
    if schedule is None:
        return None
    events = _events(schedule, headgate_conn_id)
    if schedule.cron is None:
        return events
    timetable = _cron(schedule.cron, schedule.timezone)
    if events is None:
        return timetable

    from airflow.sdk import AssetOrTimeSchedule

    return AssetOrTimeSchedule(timetable=timetable, assets=events)


def _cron(expression: str, timezone: str) -> Any:
    """Return the timetable that Airflow makes of a cron expression, in the time zone of the pipeline's file."""
    from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable
    from airflow.sdk.configuration import conf

    if conf.getboolean("scheduler", "create_cron_data_intervals"):
        return CronDataIntervalTimetable(expression, timezone=timezone)
    return CronTriggerTimetable(expression, timezone=timezone)


def _events(schedule: Schedule, headgate_conn_id: str) -> Any:
    from airflow.sdk import AssetAll, AssetAny

    updated = [_asset(text) for text in schedule.assets]
    promoted = [_promotions(after, headgate_conn_id) for after in schedule.after]
    alternatives = [*([AssetAll(*updated)] if len(updated) > 1 else updated), *promoted]
    return AssetAny(*alternatives) if len(alternatives) > 1 else next(iter(alternatives), None)


def _asset(text: str) -> Any:
    """Return a reference to an asset that some other DAG declares, by its URI or by its name."""
    from airflow.sdk import Asset

    return Asset.ref(uri=text) if "://" in text else Asset.ref(name=text)


def _promotions(after: str, headgate_conn_id: str) -> Asset:
    from headgate.airflow.assets import target_asset
    from headgate.flows.schedule import after_target

    return target_asset(*after_target(after), headgate_conn_id)
