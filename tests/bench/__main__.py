"""``make bench``: measures each part, prints its table, and keeps everything as JSON in ``bench-results/``."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, table

ROOT = Path(__file__).parents[2]
CORE = ("startup", "runs", "metrics", "search", "run_command", "functions", "gates", "promotions", "wire")
AIRFLOW = ("airflow_import", "airflow_pipeline", "airflow_server", "airflow_task")
PREFECT = ("prefect_import", "prefect_pipeline", "prefect_task")
PARTS = AIRFLOW if find_spec("airflow") else PREFECT if find_spec("prefect") else CORE


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each measurement (default: 7)")
    parser.add_argument(
        "--database",
        action="append",
        choices=("sqlite", "postgresql"),
        help="what the servers of the part wire keep their data in; may be given again; default: both in turn",
    )
    parser.add_argument(
        "--rows",
        action="append",
        choices=("start", "memory", "write", "history", "search"),
        help="rows of the part wire; may be given again; default: all",
    )
    parser.add_argument(
        "--without-million", action="store_true", help="in the part wire, leave out the search among a million runs"
    )
    said = parser.parse_args(arguments)
    unknown = set(said.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # servers and databases are put away on the way out
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    # Programs keep their bytecode, as wherever they are installed: else each start would compile what it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    measured: dict[str, list[Figure]] = {}
    for part in said.parts:
        module = importlib.import_module(f"tests.bench.{part}")
        measured[part] = module.measure(said.repeats, **(_wire_options(said) if part == "wire" else {}))
        print(table((module.__doc__ or part).partition("\n")[0], measured[part]), flush=True)
    print(f"Kept in {_keep(measured)}")


def _wire_options(said: argparse.Namespace) -> dict[str, Any]:
    chosen = {"databases": said.database, "rows": said.rows}
    return {"million": not said.without_million, **{name: of for name, of in chosen.items() if of}}


def _keep(measured: dict[str, list[Figure]]) -> Path:
    folder = ROOT / "bench-results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    results = {
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "parts": {part: [figure.as_json() for figure in figures] for part, figures in measured.items()},
    }
    path.write_text(json.dumps(results, indent=1) + "\n")
    return path.relative_to(ROOT)


def _commit() -> str | None:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return said.stdout.strip() or None


if __name__ == "__main__":
    main()
