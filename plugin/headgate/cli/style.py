"""Colours, only where a person sees them: on a terminal, and unless NO_COLOR says otherwise."""

from __future__ import annotations

import os
from typing import Any, TextIO

import click


def is_terminal(stream: TextIO) -> bool:
    """Say whether a stream ends on a terminal that can do more than print lines."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def colourful(stream: TextIO) -> bool:
    """Say whether colours may be written to a stream (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Return a text in a style where the stream shows colours; elsewhere the text alone."""
    return click.style(text, **style) if colourful(stream) else text
