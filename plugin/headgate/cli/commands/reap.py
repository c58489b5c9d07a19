"""``headgate reap``: close runs whose process is gone."""

from __future__ import annotations

import click

from headgate.cli.options import json_option, store_options
from headgate.cli.output import print_document, print_table
from headgate.cli.store_access import open_store


@click.command()
@store_options
@json_option
def reap(store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Close runs whose process is gone.

    Every run holds a lease while it runs. Runs whose lease has run out become KILLED. Safe to run at any time, by many
    at once.
    """
    from headgate.tasks.reap import reap as reap_runs

    with open_store(store_url, artifact_root) as store:
        reaped = reap_runs(store)
    if as_json:
        print_document({"run_ids": list(reaped)})
    else:
        print_table(("run",), [(run_id,) for run_id in reaped], empty="There is nothing to reap.")
