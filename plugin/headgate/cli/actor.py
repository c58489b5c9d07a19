"""Who acts, for the record: a name that somebody claims, or one that a token of the store proves."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from headgate.store.errors import InvalidSettings, NotPermitted

if TYPE_CHECKING:
    from headgate.store.store import Store
    from headgate.store.tokens import TokenRole


@dataclass(frozen=True, slots=True)
class Actor:
    """A person's name, and whether a token proved that it is theirs."""

    name: str
    authenticated: bool


def current_user() -> str:
    """Return the name that the machine knows this user by; ``unknown`` when it knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in /etc/passwd
        return "unknown"


def acting(store: Store, said: str | None, role: TokenRole) -> Actor:
    """Return who acts: the user of the token in ``HEADGATE_TOKEN``, where it is set; else whoever is claimed to.

    Args:
        store: that made the token.
        said: with ``--actor``; None takes the user of this machine.
        role: what the token has to allow.

    Raises:
        InvalidSettings: the token is nobody's.
        NotPermitted: the token allows less.
        click.UsageError: ``said`` is somebody else than the token's user.
    """
    from headgate.store.clock import now_ms
    from headgate.store.tokens import TokenRole

    secret = store.settings.token
    if secret is None:
        return Actor(said or current_user(), authenticated=False)
    token = store.tokens.find(secret.get_secret_value(), user_name=None, now=now_ms())
    if token is None:
        raise InvalidSettings(
            "The token in HEADGATE_TOKEN is nobody's: it is unknown, revoked or expired.",
            remedy="Make one (headgate tokens create), or unset the variable to act by a claimed name.",
        )
    roles = list(TokenRole)
    if roles.index(token.role) < roles.index(role):
        raise NotPermitted(
            f"{token.user_name}'s token may not do this: it needs the role {role.value}, and has {token.role.value}.",
            remedy="Use a token of that role (headgate tokens create --role).",
            actor=token.user_name,
        )
    if said is not None and said != token.user_name:
        raise click.UsageError(f"HEADGATE_TOKEN is {token.user_name}'s: leave --actor {said} out.")
    return Actor(token.user_name, authenticated=True)
