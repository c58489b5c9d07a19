"""Templates into pages. Everything that is put into one is escaped; a name that a template lacks is an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from headgate.server.pages import formats
from headgate.server.pages.visit import Visit

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC_FILES: Mapping[str, str] = {"headgate.css": "text/css", "theme.js": "text/javascript"}  # with their media types
# Nothing is loaded from elsewhere, and no other site may frame a page.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent: HTML in UTF-8.

    Args:
        body: the document.
        status: of HTTP.
    """

    body: str
    status: int = 200


def render(template: str, visit: Visit, *, status: int = 200, **values: Any) -> Page:
    """Return the page of a template of this package."""
    found = _environment().get_template(template)
    body = found.render(visit=visit, links=visit.links, now=visit.now, static_version=_static_version(), **values)
    return Page(body, status)


@cache
def static_file(name: str) -> str:
    """Return one of STATIC_FILES."""
    return (files(__package__) / "static" / name).read_text(encoding="utf-8")


@cache
def _static_version() -> str:
    whole = "".join(static_file(name) for name in STATIC_FILES)
    return hashlib.sha256(whole.encode()).hexdigest()[:8]


@cache
def _environment() -> Environment:
    import jinja2

    from headgate.server.pages.measurements import newest_measurements
    from headgate.store.lineage.reading import without_credentials

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("number", "signed", "time", "machine_time", "ago", "duration", "size", "count", "short_id"):
        environment.filters[name] = getattr(formats, name)
    environment.filters["pretty_json"] = _pretty_json
    environment.filters["without_credentials"] = without_credentials
    environment.globals["newest_measurements"] = newest_measurements
    environment.globals["NOTHING"] = formats.NOTHING
    return environment


def _pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
