"""The table of routes: one declaration per endpoint, for dispatch, permissions and the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from headgate.wire.principal import Role

Kind = Literal["json", "grouped", "stream", "text"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

_PLACE = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    Args:
        method: the HTTP method.
        path: below the application's prefix; ``{name}`` stands for one segment, ``{name:path}`` for the rest.
        handler: what answers.
        role: what the caller needs at least; ``NOBODY`` leaves the route open.
        kind: ``json`` runs in a worker thread and answers an object, or the JSON of one; ``text`` answers a plain text;
            ``grouped`` gives a batch to be written and answers when the batch's group is committed; ``stream`` reads
            and writes the connection itself.
        scoped: whether the process of a project run may call it.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    role: Role
    kind: Kind
    scoped: bool


class Routes:
    """Collects the routes of one subject: ``@routes.post("/api/2.0/mlflow/runs/create", role=Role.WRITE)``."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(
        self, methods: str, *paths: str, role: Role, kind: Kind = "json", scoped: bool = True
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that registers a handler for every method (``GET|POST``) and path."""

        def register(handler: Handler) -> Handler:
            for method in methods.split("|"):
                self._routes.extend(Route(method, path, handler, role, kind, scoped) for path in paths)
            return handler

        return register

    def get(self, *paths: str, role: Role = Role.READ, kind: Kind = "json") -> Callable[[Handler], Handler]:
        return self.add("GET", *paths, role=role, kind=kind)

    def post(
        self, *paths: str, role: Role = Role.WRITE, kind: Kind = "json", scoped: bool = True
    ) -> Callable[[Handler], Handler]:
        return self.add("POST", *paths, role=role, kind=kind, scoped=scoped)

    def patch(self, *paths: str, role: Role = Role.WRITE, scoped: bool = True) -> Callable[[Handler], Handler]:
        return self.add("PATCH", *paths, role=role, scoped=scoped)

    def delete(self, *paths: str, role: Role = Role.WRITE, scoped: bool = True) -> Callable[[Handler], Handler]:
        return self.add("DELETE", *paths, role=role, scoped=scoped)


@dataclass(frozen=True, slots=True)
class Found:
    route: Route
    arguments: Mapping[str, str]


class Table:
    """Finds the route of a request: most by one look-up, those with places in their path by patterns.

    MLflow's own user interface says ``/ajax-api`` where clients say ``/api``: each route answers to both.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Found] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        patterns: dict[str, dict[str, Route]] = {}
        for route in routes:
            for path in _spellings(route.path):
                if "{" in path:
                    patterns.setdefault(path, {})[route.method] = route
                else:
                    self._exact[route.method, path] = Found(route, {})
        self._patterns = [(_compiled(path), by_method) for path, by_method in patterns.items()]

    def find(self, method: str, path: str) -> Found | None:
        found = self._exact.get((method, path))
        if found is not None:
            return found
        for pattern, by_method in self._patterns:
            match = pattern.fullmatch(path)
            if match and method in by_method:
                return Found(by_method[method], match.groupdict())
        return None

    def knows(self, path: str) -> bool:
        """Say whether the path exists for another method."""
        return any(known == path for _, known in self._exact) or any(
            pattern.fullmatch(path) for pattern, _ in self._patterns
        )


def _spellings(path: str) -> tuple[str, ...]:
    return (path, "/ajax-api" + path.removeprefix("/api")) if path.startswith("/api/") else (path,)


def _compiled(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for place in _PLACE.finditer(path):
        parts.append(re.escape(path[end : place.start()]))
        parts.append(f"(?P<{place[1]}>{'.*' if place[2] else '[^/]+'})")
        end = place.end()
    parts.append(re.escape(path[end:]))
    return re.compile("".join(parts), re.DOTALL)
