"""``headgate experiments``: what there is."""

from __future__ import annotations

import click

from headgate.cli.documents import experiment_document
from headgate.cli.options import json_option, page_options, store_options
from headgate.cli.output import print_document, print_more, print_table, utc
from headgate.cli.store_access import open_store


@click.group()
def experiments() -> None:
    """Experiments: what there is."""


@experiments.command("list")
@click.option("--all", "with_deleted", is_flag=True, help="Also show deleted ones.")
@page_options(100)
@store_options
@json_option
def list_(
    with_deleted: bool,
    max_results: int,
    page_token: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """List experiments, the newest first."""
    from headgate.store.entities import LifecycleStage

    stage = None if with_deleted else LifecycleStage.ACTIVE
    with open_store(store_url, artifact_root) as store:
        page = store.experiments.list(lifecycle_stage=stage, max_results=max_results, page_token=page_token)
    if as_json:
        documents = [experiment_document(each) for each in page.items]
        print_document({"experiments": documents, "next_page_token": page.next_page_token})
        return
    rows = [(e.experiment_id, e.name, e.lifecycle_stage, utc(e.creation_time), e.artifact_location) for e in page.items]
    print_table(("id", "name", "stage", "created (UTC)", "artifacts"), rows, empty="There are no experiments.")
    print_more(page)
