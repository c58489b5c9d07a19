"""Writes the table of ``docs/wire-api.md`` from the routes of the wire API: ``python -m tests.wire_page``."""

from __future__ import annotations

import inspect
from pathlib import Path

from headgate.wire.endpoints import all_routes
from headgate.wire.routes import Route

PAGE = Path(__file__).parents[1] / "docs" / "wire-api.md"

_START = "<!-- endpoints: written by `make wire-api` -->\n"
_END = "<!-- end of endpoints -->\n"

_ROLES = {"NOBODY": "none", "READ": "read", "WRITE": "write", "PROMOTE": "promote", "ADMIN": "admin"}

# What MLflow's clients may ask and Headgate does not answer yet: each path below it gets 404 ENDPOINT_NOT_FOUND.
LATER = {
    "traces": ("/v1/traces", "/api/2.0/mlflow/traces/…", "/api/3.0/mlflow/traces/…"),
    "assessments": ("/api/3.0/mlflow/traces/{trace_id}/assessments/…",),
    "prompts": ("registered models with the tag `mlflow.prompt.is_prompt`; searches of models hide them",),
    "evaluation datasets": ("/api/3.0/mlflow/datasets/…",),
    "scorers": ("/api/3.0/mlflow/scorers/…",),
    "webhooks, gateway, jobs, review queues": ("/api/2.0/mlflow/webhooks/…", "/api/3.0/mlflow/gateway/…", "…"),
}


def page(text: str) -> str:
    """Return the page with its table written anew."""
    before, _, rest = text.partition(_START)
    _, _, after = rest.partition(_END)
    return f"{before}{_START}\n{_served()}\n{_later()}\n{_END}{after}"


def _served() -> str:
    rows = [f"| {_subject(route)} | {route.method} | `{route.path}` | {_ROLES[route.role.name]} | {_run(route)} |"
            for route in all_routes()]  # fmt: skip
    head = "| subject | method | path | role | a project's run |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _later() -> str:
    rows = [f"| {what} | {', '.join(f'`{path}`' if '/' in path else path for path in paths)} |"
            for what, paths in LATER.items()]  # fmt: skip
    head = "| not there yet | answers 404 `ENDPOINT_NOT_FOUND` |\n|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _subject(route: Route) -> str:
    module = inspect.getmodule(route.handler)
    assert module is not None
    return module.__name__.rpartition(".")[2].replace("_", " ")


def _run(route: Route) -> str:
    return "yes" if route.scoped else "no"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
