"""``headgate tokens``: the secret is shown once, by the command that makes it."""

from __future__ import annotations

import re

import pytest

from headgate.cli.actor import current_user
from headgate.store.store import Store
from headgate.store.tokens import TokenRole
from tests.plugin.cli.conftest import CommandLine

FIELDS = {"token_id", "user_name", "role", "created_at", "created_by", "description", "expires_at", "revoked_at"}


def test_a_token_is_made_and_opens_what_its_role_opens(headgate: CommandLine, store: Store) -> None:
    made = headgate("tokens", "create", "ada", "--role", "promote", "--description", "laptop")

    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert re.fullmatch(r"hg_[\w-]{43}", secret)
    assert "MLFLOW_TRACKING_TOKEN" in made.stderr
    (token,) = store.tokens.list()
    assert store.tokens.find(secret, user_name="ada", now=token.created_at) == token
    assert (token.role, token.description, token.expires_at) == (TokenRole.PROMOTE, "laptop", None)
    assert token.created_by == current_user()


def test_a_token_writes_unless_another_role_is_said(headgate: CommandLine) -> None:
    assert headgate.json("tokens", "create", "ada")["role"] == "write"
    assert headgate("tokens", "create", "ada", "--role", "root").exit_code == 2


def test_json_holds_the_token_and_its_secret(headgate: CommandLine, store: Store) -> None:
    made = headgate.json("tokens", "create", "ada", "--expires-in", "90d")

    assert set(made) == FIELDS | {"secret"}
    assert made["expires_at"] - made["created_at"] == 90 * 24 * 3600 * 1000
    assert store.tokens.find(made["secret"], user_name=None, now=made["created_at"]) is not None
    assert store.tokens.find(made["secret"], user_name=None, now=made["expires_at"]) is None


def test_a_listing_shows_every_token_and_no_secret(headgate: CommandLine) -> None:
    made = [headgate.json("tokens", "create", user, "--role", "read") for user in ("ada", "bob")]

    listed = headgate.json("tokens", "list")["tokens"]
    text = headgate("tokens", "list")

    assert {token["token_id"] for token in listed} == {token["token_id"] for token in made}
    assert all(set(token) == FIELDS for token in listed)
    for token in made:
        assert token["secret"] not in text.output + str(listed)
        assert token["token_id"] in text.stdout
    assert "ada" in text.stdout
    assert "bob" in text.stdout


def test_no_tokens_is_no_failure(headgate: CommandLine) -> None:
    assert headgate.json("tokens", "list") == {"tokens": []}
    assert "no tokens" in headgate("tokens", "list").stderr


def test_a_revoked_token_opens_nothing(headgate: CommandLine, store: Store) -> None:
    made = headgate.json("tokens", "create", "ada")

    revoked = headgate.json("tokens", "revoke", made["token_id"])

    assert revoked["revoked_at"] >= made["created_at"]
    assert store.tokens.find(made["secret"], user_name=None, now=revoked["revoked_at"]) is None
    assert headgate.json("tokens", "revoke", made["token_id"]) == revoked
    assert "ada" in headgate("tokens", "revoke", made["token_id"]).stderr


def test_an_unknown_token_is_named(headgate: CommandLine) -> None:
    error = headgate.error("tokens", "revoke", "none")

    assert "There is no token none" in error["message"]


@pytest.mark.parametrize("user", ["", "a:b"])
def test_a_user_that_basic_credentials_cannot_say_is_refused(headgate: CommandLine, user: str) -> None:
    assert "can't belong to" in headgate.error("tokens", "create", user)["message"]
