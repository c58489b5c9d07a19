"""The addresses of all pages, for a door to mount: each with the function that makes it and whom it belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from headgate.server.pages.empty import error_page
from headgate.server.pages.links import text_of
from headgate.server.pages.rendering import Page
from headgate.server.pages.visit import Visit
from headgate.store.errors import HeadgateError

if TYPE_CHECKING:
    from headgate.store.store import Store


class Belongs(StrEnum):
    """Whom a page belongs to.

    REGISTRY: everybody who may read the registry. PIPELINE: who may read the runs of the pipeline in its address.
    OBJECT: who may read the registry, and the pipeline of the object, which only the page itself finds out.
    """

    REGISTRY = "registry"
    PIPELINE = "pipeline"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a page stands.

    Args:
        path: below where the pages are mounted; ``{name}`` stands for one segment, encoded as by
            :func:`headgate.server.pages.links.segment`.
        page: the module of this package and its function that makes the page; it is called with the store, the visit,
            and the segments and query parameters by name. It loads with the first request, not when a server starts.
        belongs: whom it belongs to.
        query: the names of the query parameters that the page takes.
    """

    path: str
    page: str
    belongs: Belongs
    query: tuple[str, ...] = ()


_PIPELINE = "/pipelines/{origin}/{pipeline}"

ADDRESSES: tuple[Address, ...] = (
    Address("/", "production.production_page", Belongs.REGISTRY, ("page_token",)),
    Address("/models", "production.production_page", Belongs.REGISTRY, ("page_token",)),
    Address("/models/{name}", "models.model_page", Belongs.REGISTRY),
    Address("/models/{name}/versions/{version}", "models.version_page", Belongs.REGISTRY),
    Address("/promotions", "production.promotions_page", Belongs.REGISTRY, ("before",)),
    Address("/lineage", "lineage.lineage_page", Belongs.OBJECT, ("subject",)),
    Address("/logged-models/{model_id}", "models.logged_model_page", Belongs.OBJECT),
    Address("/runs/{run_id}", "runs.run_page", Belongs.OBJECT),
    Address("/verdicts/{verdict_id}", "verdicts.verdict_page", Belongs.OBJECT),
    Address(_PIPELINE, "pipelines.pipeline_page", Belongs.PIPELINE),
    Address(f"{_PIPELINE}/runs/{{pipeline_run_id}}", "pipelines.pipeline_run_page", Belongs.PIPELINE),
    Address(f"{_PIPELINE}/runs/{{pipeline_run_id}}/tasks/{{task}}", "pipelines.task_run_page", Belongs.PIPELINE),
    Address(
        f"{_PIPELINE}/runs/{{pipeline_run_id}}/tasks/{{task}}/{{map_index}}",
        "pipelines.task_run_page",
        Belongs.PIPELINE,
    ),
    Address(f"{_PIPELINE}/tasks/{{task}}", "pipelines.task_page", Belongs.PIPELINE),
)


def answer(
    address: Address, store: Store, visit: Visit, parts: Mapping[str, str], query: Mapping[str, str], **more: Any
) -> Page:
    """Return the page at an address, or what went wrong with it; nothing that Headgate raises passes through.

    Args:
        address: one of ADDRESSES.
        store: what is shown.
        visit: who looks at it.
        parts: the segments of the path by name, decoded once.
        query: the query parameters; others than the page takes are passed over.
        more: what only the door knows; see the page.
    """
    said = {name: query[name] for name in address.query if name in query}
    try:
        return _function(address.page)(
            store, visit, **{name: text_of(part) for name, part in parts.items()}, **said, **more
        )
    except HeadgateError as error:
        return error_page(visit, error)


def find(path: str) -> tuple[Address, Mapping[str, str]] | None:
    """Return the address of a path as it stands in a URL, and its segments, decoded once; None when there is none."""
    for address in ADDRESSES:
        match = _pattern(address.path).fullmatch(path)
        if match is not None:
            return address, {name: unquote(part) for name, part in match.groupdict().items()}
    return None


@cache
def _function(page: str) -> Callable[..., Page]:
    module, _, name = page.partition(".")
    function: Callable[..., Page] = getattr(import_module(f"{__package__}.{module}"), name)
    return function


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
