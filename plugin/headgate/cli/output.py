"""What commands print: one JSON document, or text; tables with colours on a terminal, plain columns elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.plain_values import plain
from headgate.cli.style import colourful, is_terminal

if TYPE_CHECKING:
    from headgate.store.entities import Page

_OUTCOMES = {
    "FINISHED": "green",
    "READY": "green",
    "pass": "green",
    "FAILED": "red",
    "KILLED": "red",
    "reject": "red",
    "error": "red",
    "hold": "yellow",
    "RUNNING": "cyan",
}

_WIDEST = 100_000


def print_document(document: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def print_text(text: str) -> None:
    """Print text on stdout, with its control characters shown instead of obeyed."""
    for line in text.split("\n"):
        click.echo(printable(line))


def print_note(text: str) -> None:
    """Print something beside the result, on stderr."""
    click.echo(printable(text), err=True)


def print_more(page: Page[Any]) -> None:
    """Say how the next page of a list is asked for, where there is one."""
    if page.next_page_token:
        print_note(f"There are more: --page-token {page.next_page_token}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows below their columns' names, or the sentence ``empty`` on stderr when there are none."""
    texts = [[printable(cell(value)) for value in row] for row in rows]
    if not texts:
        print_note(empty)
    elif is_terminal(sys.stdout):
        _print_rich(columns, texts)
    else:
        _print_plain(columns, texts)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one per line, leaving out what is not known."""
    told = {name: cell(value) for name, value in facts.items() if value is not None and value != ""}
    width = max((len(name) for name in told), default=0)
    for name, value in told.items():
        click.echo(printable(f"{name:<{width}}  {value}"))


def print_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table below a title and an empty line; nothing when there are no rows."""
    if rows:
        print_text(f"\n{title}")
        print_table(columns, rows, empty="")


def cell(value: Any) -> str:
    """Return a value as a person reads it: numbers short, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def utc(epoch_ms: int | None) -> str:
    """Return a time as ``2026-11-21 03:00:00`` in UTC; nothing for None."""
    if epoch_ms is None:
        return ""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{epoch_ms} ms"  # scripts may log any timestamp


def lasting(start_ms: int, end_ms: int | None) -> str:
    """Return how long something took, such as ``4.2 s`` or ``1 h 02 min``; nothing while it runs."""
    if end_ms is None:
        return ""
    seconds = max(0, end_ms - start_ms) / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def printable(text: str) -> str:
    """Return a line with its control characters shown instead of obeyed: names and tags come from anywhere."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _print_plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[printable(column) for column in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(text, style=_OUTCOMES.get(text, "")) for text in row))
    console = Console(no_color=not colourful(sys.stdout), highlight=False)
    # Identifiers are copied from the screen: rather than cut or fold them, a wide table wraps as plain lines do.
    needed = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
    console.width = max(console.width, needed)
    console.print(table, soft_wrap=True)
