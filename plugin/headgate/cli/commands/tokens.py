"""``headgate tokens``: who may use ``headgate server --auth``, and what they may do."""

from __future__ import annotations

import time

import click

from headgate.cli.actor import current_user
from headgate.cli.options import Seconds, json_option, store_options
from headgate.cli.output import print_document, print_note, print_table, utc
from headgate.cli.store_access import open_store


@click.group()
def tokens() -> None:
    """Tokens of a server: make, list and revoke them."""


@tokens.command()
@click.argument("user_name", metavar="USER")
@click.option(
    "--role",
    type=click.Choice(["read", "write", "promote", "override", "admin"]),
    default="write",
    show_default=True,
    help="What the token allows; each role includes those before it.",
)
@click.option("--expires-in", type=Seconds(), metavar="DURATION", help="How long the token works, such as 90d.")
@click.option("--description", default="", help="What the token is for.")
@store_options
@json_option
def create(
    user_name: str,
    role: str,
    expires_in: float | None,
    description: str,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Make a token for USER and print it. It is shown this once."""
    from headgate.store.tokens import TokenRole

    now = time.time_ns() // 1_000_000
    with open_store(store_url, artifact_root) as store:
        token, secret = store.tokens.create(
            user_name,
            TokenRole(role),
            now=now,
            expires_at=None if expires_in is None else now + round(expires_in * 1000),
            description=description,
            created_by=current_user(),
        )
    if as_json:
        print_document({**_told(token), "secret": secret})
    else:
        click.echo(secret)
        print_note("Clients send it as MLFLOW_TRACKING_TOKEN, or as the password of MLFLOW_TRACKING_USERNAME.")


@tokens.command("list")
@store_options
@json_option
def list_(store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """List the tokens, without their secrets."""
    with open_store(store_url, artifact_root) as store:
        found = store.tokens.list()
    if as_json:
        print_document({"tokens": [_told(token) for token in found]})
        return
    rows = [
        (
            each.token_id,
            each.user_name,
            each.role.value,
            utc(each.created_at),
            utc(each.expires_at),
            utc(each.revoked_at),
        )
        for each in found
    ]
    print_table(("token", "user", "role", "created", "expires", "revoked"), rows, empty="There are no tokens yet.")


@tokens.command()
@click.argument("token_id", metavar="TOKEN")
@store_options
@json_option
def revoke(token_id: str, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Make a token useless. Servers notice within five seconds."""
    with open_store(store_url, artifact_root) as store:
        token = store.tokens.revoke(token_id, now=time.time_ns() // 1_000_000)
    if as_json:
        print_document(_told(token))
    else:
        print_note(f"The token of {token.user_name} is revoked.")


def _told(token: object) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(token)  # type: ignore[call-overload, no-any-return]
