"""``headgate webhooks``: where the store's events are sent, sending them, and what could not be sent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from headgate.cli.actor import current_user
from headgate.cli.documents import delivery_document, webhook_document
from headgate.cli.options import Seconds, json_option, store_options
from headgate.cli.output import print_document, print_note, print_table, print_text, utc
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.tasks.webhooks.deliver import Delivered

TOPICS = ("promotion", "guard.set", "guard.removed", "stages.set", "stages.removed")


@click.group()
def webhooks() -> None:
    """Webhooks: send promotions and changed guards over HTTP, signed."""


@webhooks.command()
@click.argument("name")
@click.option("--url", help="Where to: https://…; or --url-env.")
@click.option("--url-env", metavar="VARIABLE", help="The variable that holds the URL, where the URL is a secret.")
@click.option("--secret-env", metavar="VARIABLE", default="", help="The variable that holds the key of the signatures.")
@click.option("--form", type=click.Choice(["mlflow", "slack"]), default="mlflow", show_default=True, help="The bodies.")
@click.option(
    "--topic",
    "topics",
    type=click.Choice(TOPICS),
    multiple=True,
    default=("promotion",),
    show_default=True,
    help="Which events; rollbacks and overrides are promotions, too. Repeatable.",
)
@click.option("--model", "model_name", metavar="NAME", help="Only events of this registered model.")
@store_options
@json_option
def create(
    name: str,
    url: str | None,
    url_env: str | None,
    secret_env: str,
    form: str,
    topics: tuple[str, ...],
    model_name: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Make a webhook called NAME, which is sent every event that comes from now on.

    Neither the secret nor a secret URL is kept in the store: whoever sends the events has the variables.
    """
    from headgate.store.clock import now_ms
    from headgate.store.webhooks import ENV_PREFIX, WebhookForm

    if (url is None) == (url_env is None):
        raise click.UsageError("Give --url, or --url-env.")
    with open_store(store_url, artifact_root) as store:
        made = store.webhooks.create(
            name,
            url if url is not None else f"{ENV_PREFIX}{url_env}",
            secret_env=secret_env,
            form=WebhookForm(form),
            topics=topics,
            model_name=model_name,
            now=now_ms(),
            created_by=current_user(),
        )
    if as_json:
        print_document(webhook_document(made))
    else:
        print_note(f"The webhook {name!r} is sent what happens from now on. Try it: headgate webhooks test {name}")


@webhooks.command("list")
@store_options
@json_option
def list_(store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """List the webhooks, and how many events are on their way to each."""
    with open_store(store_url, artifact_root) as store:
        found = [(each, store.deliveries.pending(each.channel)) for each in store.webhooks.list()]
    if as_json:
        print_document({"webhooks": [{**webhook_document(each), "pending": pending} for each, pending in found]})
        return
    rows = [
        (w.name, w.shown_url, w.form, ", ".join(w.topics), w.model_name, bool(w.secret_env), w.active, pending)
        for w, pending in found
    ]
    columns = ("name", "url", "form", "topics", "model", "signed", "active", "pending")
    print_table(columns, rows, empty="There are no webhooks.")


@webhooks.command()
@click.argument("name")
@store_options
@json_option
def test(name: str, store_url: str | None, artifact_root: str | None, as_json: bool) -> int:
    """Send the webhook NAME an example of a promotion. Ends with 5 when it does not take it."""
    from headgate.tasks.webhooks.deliver import try_webhook

    with open_store(store_url, artifact_root) as store:
        answer = try_webhook(store, name)
    if as_json:
        print_document({"success": answer.told, "status": answer.status, "error": answer.error})
    else:
        print_text(f"HTTP {answer.status}: it was taken." if answer.told else answer.error)
    return 0 if answer.told else 5


@webhooks.command()
@click.argument("name")
@click.option("--off", is_flag=True, help="Send nothing for now; what comes meanwhile waits.")
@store_options
@json_option
def activate(name: str, off: bool, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Let the webhook NAME be sent events, or (--off) let it rest."""
    with open_store(store_url, artifact_root) as store:
        changed = store.webhooks.set_active(name, not off)
    if as_json:
        print_document(webhook_document(changed))
    else:
        print_note(f"The webhook {changed.name!r} {'is sent events' if changed.active else 'rests'} now.")


@webhooks.command()
@click.argument("name")
@store_options
@json_option
def delete(name: str, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Delete the webhook NAME, and what is on its way to it."""
    with open_store(store_url, artifact_root) as store:
        gone = store.webhooks.delete(name)
    if as_json:
        print_document(webhook_document(gone))
    else:
        print_note(f"The webhook {gone.name!r} is deleted.")


@webhooks.command()
@click.option("--watch", is_flag=True, help="Go on until stopped.")
@click.option("--every", type=Seconds(), default=5.0, metavar="DURATION", help="Between passes. Default: 5s.")
@store_options
@json_option
def deliver(watch: bool, every: float, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Send what is due to every webhook. Any number of these may run at once, and beside a headgate server."""
    from headgate.tasks.webhooks.deliver import deliver_webhooks, keep_delivering

    with open_store(store_url, artifact_root) as store:
        if watch:
            keep_delivering(store, threading.Event(), every=every, tell=_tell)
        done = deliver_webhooks(store)
    if as_json:
        print_document({"told": done.told, "failed": done.failed, "dead": done.dead})
    else:
        _tell(done)


def _tell(done: Delivered) -> None:
    if done.told or done.failed or done.dead:
        print_note(f"{done.told} told, {done.failed} failed and tried again later, {done.dead} dead")


@webhooks.command()
@click.argument("name", required=False)
@store_options
@json_option
def dead(name: str | None, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """List the events that could not be sent to the webhook NAME, or to any."""
    with open_store(store_url, artifact_root) as store:
        names = {each.channel: each.name for each in store.webhooks.list()}
        found = store.deliveries.dead(store.webhooks.get(name).channel if name is not None else None)
    shown = [(names[each.channel], each) for each in found if each.channel in names]
    if as_json:
        print_document({"dead": [delivery_document(each, webhook) for webhook, each in shown]})
        return
    rows = [(w, d.event.event_id, d.event.subject, utc(d.event.created_at), d.failures, d.error) for w, d in shown]
    print_table(("webhook", "event", "subject", "when (UTC)", "tries", "error"), rows, empty="Nothing is dead.")


@webhooks.command()
@click.argument("name")
@click.option("--event", "event_id", metavar="ID", help="Only this one. Default: everything that is dead.")
@store_options
@json_option
def replay(name: str, event_id: str | None, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Make events due again that could not be sent to the webhook NAME. Send them by "webhooks deliver"."""
    from headgate.store.clock import now_ms

    with open_store(store_url, artifact_root) as store:
        number = store.deliveries.replay(store.webhooks.get(name).channel, event_id, now=now_ms())
    if as_json:
        print_document({"replayed": number})
    else:
        print_note(f"{number} events are due again.")
