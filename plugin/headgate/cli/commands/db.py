"""``headgate db``: the store's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headgate.cli.options import Seconds, json_option, store_options
from headgate.cli.output import print_document, print_facts, print_note
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.store.database import Database


@click.group()
def db() -> None:
    """The store's database: upgrade it, see its state, prune it."""


@db.command()
@store_options
@click.option("--no-backup", is_flag=True, help="Do not copy a SQLite file before changing it.")
@json_option
def upgrade(store_url: str | None, artifact_root: str | None, no_backup: bool, as_json: bool) -> None:
    """Bring the database to the shape that this version needs. Safe to run at any time, by many at once."""
    from headgate.store import migrate

    database = _database(store_url)
    if not as_json:
        print_note(f"Upgrading {database.display_url}")
    before, after = migrate.upgrade(database, back_up=not no_backup)
    database.close()
    if as_json:
        print_document({"before": before, "after": after, "changed": before != after})
    else:
        print_note(f"At revision {after} already." if before == after else f"From {before or 'empty'} to {after}.")


@db.command()
@store_options
@json_option
def status(store_url: str | None, artifact_root: str | None, as_json: bool) -> int:
    """Show where the store is and whether it needs an upgrade. Ends with 2 when it does."""
    from headgate.store import migrate

    database = _database(store_url)
    current = migrate.current_revision(database)
    database.close()
    state = {
        "url": database.display_url,
        "dialect": database.dialect,
        "revision": current,
        "head": migrate.HEAD,
        "up_to_date": current == migrate.HEAD,
    }
    if as_json:
        print_document(state)
    else:
        print_facts(state)
    return 0 if state["up_to_date"] else 2


@db.command()
@click.option("--older-than", type=Seconds(), default=90 * 86_400.0, metavar="DURATION", help="How old. Default: 90d.")
@store_options
@json_option
def prune(older_than: float, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Delete old events of the outbox that everybody who wanted them has been told. No history of promotions is lost.

    Events that are on their way or dead stay, and so does the newest one of each target.
    """
    from headgate.store.clock import now_ms

    with open_store(store_url, artifact_root) as store:
        pruned = store.outbox.prune(before=now_ms() - round(older_than * 1000))
    if as_json:
        print_document({"pruned": pruned})
    else:
        print_note(f"{pruned} events are gone.")


def _database(url: str | None) -> Database:
    from headgate.store.database import Database, store_url
    from headgate.store.settings import read_settings

    settings = read_settings()
    return Database(store_url(url, settings), settings)
