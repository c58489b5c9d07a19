"""Options that several commands share, and the types of what is typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, None: 1.0}
ENVIRONMENTS = ("local", "virtualenv", "conda", "docker")


class KeyValue(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """``key=value``; the value may be empty and may hold further equals signs."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, said = str(value).partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not key=value.", param, ctx)
        return key.strip(), said


class Target(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """What a promotion moves: ``@alias``, or a stage as ``Production`` or ``stage:Production``."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from headgate.store.targets import PROMOTION_STAGES, parse_target

        text = str(value)
        return str(parse_target(f"stage:{text}" if text.title() in PROMOTION_STAGES else text))


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A duration: ``90``, ``90s``, ``15m``, ``2h``, ``1d``; seconds unless said."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is not a duration. Write 90, 90s, 15m, 2h or 1d.", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


class Instant(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """An ISO 8601 date or time, UTC unless it says otherwise; becomes epoch milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            instant = datetime.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is not a time. Write 2026-11-21 or 2026-11-21T03:00:00+01:00.", param, ctx)
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)


def store_options(function: _F) -> _F:
    """Add ``--store`` and ``--artifact-root``."""
    store = click.option(
        "--store",
        "store_url",
        metavar="URL",
        help="Database of the store. Default: HEADGATE_STORE_URL, or else the SQLite file in ~/.headgate.",
    )
    artifact_root = click.option(
        "--artifact-root",
        metavar="URI",
        help="Where artifacts go. Default: HEADGATE_ARTIFACT_ROOT, or else a folder beside the SQLite file.",
    )
    return store(artifact_root(function))


def target_option(*, required: bool = False, said: str) -> Callable[[_F], _F]:
    """Add ``--target`` (or ``--to``): an alias or a stage."""
    return click.option("--target", "--to", "target", type=Target(), required=required, help=said)


def json_option(function: _F) -> _F:
    """Add ``--json``."""
    said = "Print one JSON document on stdout, and everything else on stderr."
    return click.option("--json", "as_json", is_flag=True, help=said)(function)


def page_options(default: int) -> Callable[[_F], _F]:
    """Add ``--max-results`` and ``--page-token``."""

    def add(function: _F) -> _F:
        size = click.option(
            "--max-results", type=click.IntRange(1, 1000), default=default, show_default=True, help="How many at most."
        )
        token = click.option("--page-token", metavar="TOKEN", help="Where the page before ended.")
        return size(token(function))

    return add


def refuse_repeated(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return ``key=value`` pairs as a mapping.

    Raises:
        click.UsageError: a key is given twice.
    """
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values:
            raise click.UsageError(f"Parameter {key!r} is given twice.")
        values[key] = value
    return values
