"""Where the files are that a task names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

# Also git's own short form: git@host:path.
_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*:|git@)", re.IGNORECASE)


def flow_folder() -> Path:
    """Return the folder of the file that this flow is written in; without one, the process's working directory."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    flow = None if context is None else context.flow
    code = None if flow is None else getattr(inspect.unwrap(flow.fn), "__code__", None)
    file = None if code is None else Path(code.co_filename)
    return file.absolute().parent if file is not None and file.is_file() else Path.cwd()


def beside_flow(place: str | Path) -> str:
    """Return a path or a URI as a task can use it: a relative path starts at the folder of the flow's file.

    The working folder of a deployed run is nobody's choice, and differs from that of a script.
    """
    text = str(place)
    if _URI.match(text) or Path(text).is_absolute():
        return text
    return str(flow_folder() / text)
