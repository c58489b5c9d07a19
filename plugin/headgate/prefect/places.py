"""Where the files are that a task names."""

from __future__ import annotations

import inspect
from pathlib import Path

from headgate.tasks.beside import beside


def flow_folder() -> Path:
    """Return the folder of the file that this flow is written in; without one, the process's working directory."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    flow = None if context is None else context.flow
    code = None if flow is None else getattr(inspect.unwrap(flow.fn), "__code__", None)
    file = None if code is None else Path(code.co_filename)
    return file.absolute().parent if file is not None and file.is_file() else Path.cwd()


def beside_flow(place: str | Path) -> str:
    """Return a path or a URI as a task can use it: a relative path starts at the folder of the flow's file."""
    return beside(flow_folder(), place)
