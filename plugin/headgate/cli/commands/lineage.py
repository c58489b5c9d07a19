"""``headgate lineage``: from the data to the serving alias, and back."""

from __future__ import annotations

import click

from headgate.cli.options import json_option, store_options
from headgate.cli.output import print_document, print_text
from headgate.cli.store_access import open_store


@click.group()
def lineage() -> None:
    """Lineage: from the data to the serving alias, and back."""


@lineage.command()
@click.argument("subject")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
@click.option("--upstream", "direction", flag_value="upstream", help="Only what it comes from.")
@click.option("--downstream", "direction", flag_value="downstream", help="Only what came of it.")
@click.option("--depth", type=click.IntRange(0, 100), default=20, show_default=True, help="How many edges to follow.")
@click.option("--limit", type=click.IntRange(1, 5000), default=300, show_default=True, help="How many nodes at most.")
@store_options
@json_option
def show(
    subject: str,
    form: str,
    direction: str | None,
    depth: int,
    limit: int,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Show where SUBJECT comes from and what came of it.

    SUBJECT is NAME@alias, NAME/3, NAME/latest or NAME/Production (with or without models:/), a model id (m-…), a run
    id, a verdict id (v-…), or a dataset: dataset:NAME, dataset:NAME@digest or its id (d-…).
    """
    from headgate.store.lineage import to_document, to_mermaid, to_text

    with open_store(store_url, artifact_root) as store:
        found = store.lineage.of(
            subject,
            upstream=direction != "downstream",
            downstream=direction != "upstream",
            depth=depth,
            limit=limit,
        )
    if as_json or form == "json":
        print_document(to_document(found))
    elif form == "mermaid":
        print_text(to_mermaid(found))
    else:
        print_text(to_text(found))
