"""Where a process that runs a deployment finds the flow: a variable of somebody's module, or the pipeline's file alone.

A flow that is a variable of a module is loaded by that module or its file, as Prefect loads any flow. One that is not,
as in ``pipeline_flow("pipeline.yaml").serve()``, is named by its file and how it is to run::

    headgate.prefect.pipelines.tumor-screening
    headgate.prefect.pipelines./opt/flows/tumor-screening?env=local&on_reject=skip

The name behind :mod:`headgate.prefect.pipelines` is a path, in which a dot is written ``%2E``, and a query.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from headgate.store.errors import InvalidInput

MODULE = "headgate.prefect.pipelines"
DESCRIBED = ("env", "experiment", "max_parallel", "name", "on_reject", "store")
"""What of :func:`headgate.prefect.pipeline_flow` can be said behind the path."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a flow was made.

    Args:
        file: of the code that made it; empty for none.
        said: how the pipeline is to run, if its file and this are all that the flow is; None when there is more to it.
    """

    file: str
    said: Mapping[str, str | int | None] | None


def variable_of(flow: object, file: str) -> tuple[str, str] | None:
    """Return (module, variable) that hold a flow at the top of the code in a file; None when none does."""
    for name, module in list(sys.modules.items()):
        if file and getattr(module, "__file__", None) == file:
            for variable, value in list(vars(module).items()):
                if value is flow:
                    return name, variable
    return None


def described(place: str | Path, options: Mapping[str, str | int | None]) -> str:
    """Return the name behind the module that stands for a pipeline's file and how it is to run."""
    said = {key: value for key, value in options.items() if value is not None}
    query = f"?{urlencode(said)}" if said else ""
    return quote(str(place), safe="/ ").replace(".", "%2E") + query.replace(".", "%2E")


def entrypoint(place: str | Path, options: Mapping[str, str | int | None]) -> str:
    """Return the entrypoint of a deployment of a pipeline's file."""
    return f"{MODULE}.{described(place, options)}"


def read_description(text: str) -> tuple[str, dict[str, str]]:
    """Return (path, options) out of what :func:`described` made or somebody wrote.

    Raises:
        InvalidInput: an option is none of those that can be said.
    """
    place, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key in options:
        if key not in DESCRIBED:
            raise InvalidInput(
                f"The entrypoint {MODULE}.{text} says {key!r}.", remedy=f"It may say {', '.join(DESCRIBED)}."
            )
    return unquote(place), options


def whole_number(key: str, text: str) -> int:
    """Return the number that an option of an entrypoint says; raises InvalidInput when it says none."""
    if not text.isdecimal():
        raise InvalidInput(f"The entrypoint says {key}={text}.", remedy="Write a whole number.")
    return int(text)
