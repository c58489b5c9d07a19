"""The views that the plugin adds to Airflow's pages: addresses of our pages, opened at what the user looks at.

They are relative to the base of Airflow's user interface, so they hold below any prefix of it. Airflow puts encoded
values in the place of the names in braces; ``{MAP_INDEX}`` stays as it is for a task that is not mapped, which the
pages take for "not mapped".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

PREFIX = "/headgate"
NAV_ROUTE, TASK_INSTANCE_ROUTE = "headgate", "headgate-task-instance"

_MARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{}" stroke-width="2" '
    'stroke-linecap="round"><path d="M4 21V4M20 21V4M4 7h16M12 7v5M8 12h8v5H8z"/></svg>'
)
_HOME = PREFIX.removeprefix("/")
_DAG = f"{_HOME}/pipelines/airflow/{{DAG_ID}}"
_TABS = {
    "dag": ("headgate-dag", _DAG),
    "dag_run": ("headgate-run", f"{_DAG}/runs/{{RUN_ID}}"),
    "task": ("headgate-task", f"{_DAG}/tasks/{{TASK_ID}}"),
    "task_instance": (TASK_INSTANCE_ROUTE, f"{_DAG}/runs/{{RUN_ID}}/tasks/{{TASK_ID}}/{{MAP_INDEX}}"),
}


def external_views() -> list[dict[str, Any]]:
    """Return the plugin's views: one in the navigation, and a tab of DAGs, their runs, tasks and task instances."""
    look = {"name": "Headgate", "icon": _icon("#3f3f46"), "icon_dark_mode": _icon("#e4e4e7")}
    nav = {**look, "href": f"{_HOME}/", "destination": "nav", "url_route": NAV_ROUTE, "nav_top_level": True}
    tabs = [
        {**look, "href": href, "destination": destination, "url_route": route}
        for destination, (route, href) in _TABS.items()
    ]
    return [nav, *tabs]


def _icon(colour: str) -> str:
    return f"data:image/svg+xml,{quote(_MARK.format(colour))}"
