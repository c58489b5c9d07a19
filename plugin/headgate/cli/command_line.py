"""``headgate``: the root of the command line, and what its exit codes mean."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import click

from headgate.cli.failures import PIPE_CLOSED, report, report_interrupt
from headgate.cli.lazy_group import LazyGroup
from headgate.cli.progress import stop_writing_stdout

_COMMANDS = {
    "run": ("headgate.cli.commands.run:run", "Run an entry point of a project, or a pipeline."),
    "plan": ("headgate.cli.commands.plan:plan", "Show what a pipeline would run, without running anything."),
    "experiments": ("headgate.cli.commands.experiments:experiments", "Experiments: what there is."),
    "runs": ("headgate.cli.commands.runs:runs", "Runs: list, show, compare."),
    "models": ("headgate.cli.commands.models:models", "Registered models: show, promote, roll back, guard, watch."),
    "gate": (
        "headgate.cli.commands.gate:gate",
        "Gates: decide on a candidate, explain a verdict, approve or reject it.",
    ),
    "webhooks": (
        "headgate.cli.commands.webhooks:webhooks",
        "Webhooks: send promotions and changed guards over HTTP, signed.",
    ),
    "lineage": ("headgate.cli.commands.lineage:lineage", "Lineage: from the data to the serving alias, and back."),
    "server": ("headgate.cli.commands.server:server", "Serve the store over HTTP to MLflow's clients."),
    "prefect": ("headgate.cli.commands.prefect:prefect", "Prefect: deploy a pipeline as a flow, run one."),
    "tokens": ("headgate.cli.commands.tokens:tokens", "Tokens of a server: make, list and revoke them."),
    "db": ("headgate.cli.commands.db:db", "The store's database: upgrade it, see its state, prune it."),
    "reap": ("headgate.cli.commands.reap:reap", "Close runs whose process is gone."),
}
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class CommandLine(LazyGroup):
    """The root group: turns errors into messages and exit codes."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that can't show a character is no failure
        # What a command loads stays: looking through it over and over, as it grows, is a twentieth of the start.
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
        if not standalone_mode:
            return super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        sys.exit(self._run(words, prog_name or "headgate", complete_var, extra))

    def invoke(self, ctx: click.Context) -> Any:
        # Here and not in `main`: click's own `main` swallows a closed pipe, with an exit code that means nothing.
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            stop_writing_stdout()
            return PIPE_CLOSED
        return code

    def _run(self, words: list[str], prog_name: str, complete_var: str | None, extra: dict[str, Any]) -> int:
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort:
            return report_interrupt(as_json="--json" in words)
        except Exception as error:  # noqa: BLE001 - what is not expected is raised again
            return report(error, as_json="--json" in words)
        return code if isinstance(code, int) else 0


@click.group(
    cls=CommandLine,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 passed, 2 bad input, 3 rejected, 4 held, 5 infrastructure failed, 130 interrupted.",
)
@click.version_option(package_name="headgate", prog_name="headgate", message="%(prog)s %(version)s")
def main() -> None:
    """Tracked projects, gated promotions and lineage, in the orchestrator you already run.

    Every command takes --json: one JSON document on stdout, everything else on stderr. The store is HEADGATE_STORE_URL
    or --store; by default a SQLite file in ~/.headgate.
    """
    if os.environ.get("HEADGATE_LOG_LEVEL"):  # settings take a while to import, and not every command needs them
        from headgate.store.settings import set_log_level

        set_log_level()
