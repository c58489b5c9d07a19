"""Only the tests whose orchestrator stands in this environment are collected; the Makefile names them one by one."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [f"test_{name}*.py" for name in ("airflow", "prefect") if find_spec(name) is None]
