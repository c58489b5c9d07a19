"""Tokens on each database: found by their secret, for as long as they are usable, and kept as hashes only."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from headgate.store.errors import InvalidInput, NotFound
from headgate.store.store import Store
from headgate.store.tokens import TokenRole

NOW = 1_790_000_000_000
DAY = 24 * 3600 * 1000


@pytest.mark.parametrize("role", TokenRole)
def test_a_token_is_found_by_its_secret_alone_or_with_its_user(store: Store, role: TokenRole) -> None:
    token, secret = store.tokens.create("ada", role, now=NOW, description="notebook", created_by="root")

    assert store.tokens.find(secret, user_name=None, now=NOW) == token
    assert store.tokens.find(secret, user_name="ada", now=NOW) == token
    assert (token.user_name, token.role, token.created_at, token.created_by) == ("ada", role, NOW, "root")


def test_another_secret_or_another_user_finds_nothing(store: Store) -> None:
    _, secret = store.tokens.create("ada", TokenRole.WRITE, now=NOW)
    store.tokens.create("bob", TokenRole.ADMIN, now=NOW)

    for wrong, user in [
        (secret[:-1], None),
        (secret + "a", None),
        (secret.swapcase(), None),
        ("", None),
        (secret, "bob"),
        (secret, "Ada"),
        (secret, ""),
    ]:
        assert store.tokens.find(wrong, user_name=user, now=NOW) is None


def test_a_token_stops_working_when_it_expires(store: Store) -> None:
    token, secret = store.tokens.create("ada", TokenRole.READ, now=NOW, expires_at=NOW + DAY)

    assert store.tokens.find(secret, user_name=None, now=NOW + DAY - 1) == token
    assert store.tokens.find(secret, user_name=None, now=NOW + DAY) is None


def test_a_revoked_token_is_useless_and_stays_listed_with_its_first_time(store: Store) -> None:
    token, secret = store.tokens.create("ada", TokenRole.ADMIN, now=NOW)
    _, other = store.tokens.create("ada", TokenRole.ADMIN, now=NOW)

    revoked = store.tokens.revoke(token.token_id, now=NOW + 1)

    assert revoked.revoked_at == NOW + 1
    assert store.tokens.revoke(token.token_id, now=NOW + 2) == revoked
    assert store.tokens.find(secret, user_name=None, now=NOW + 3) is None
    assert store.tokens.find(other, user_name=None, now=NOW + 3) is not None
    assert revoked in store.tokens.list()


def test_an_unknown_token_cannot_be_revoked(store: Store) -> None:
    with pytest.raises(NotFound, match="no token"):
        store.tokens.revoke("none", now=NOW)


def test_tokens_are_listed_newest_first(store: Store) -> None:
    made = [store.tokens.create(f"user{n}", TokenRole.READ, now=NOW + n)[0] for n in range(3)]

    assert store.tokens.list() == tuple(reversed(made))


def test_no_secret_is_in_the_database_or_in_a_listing(store: Store) -> None:
    _, secret = store.tokens.create("ada", TokenRole.READ, now=NOW, description="d")

    engine = sa.create_engine(store.url)
    with engine.connect() as connection:
        (row,) = connection.execute(sa.text("select * from headgate_token")).mappings().all()
    engine.dispose()

    assert secret.removeprefix("hg_") not in repr(dict(row)) + repr(store.tokens.list())
    assert len(row["secret_hash"]) == 64


def test_secrets_are_long_and_all_different(sqlite_store: Store) -> None:
    secrets = {sqlite_store.tokens.create("ada", TokenRole.READ, now=NOW)[1] for _ in range(20)}

    assert len(secrets) == 20
    assert all(secret.startswith("hg_") and len(secret) >= 43 for secret in secrets)


@pytest.mark.parametrize("user", ["", "a:b", "x" * 257])
def test_basic_credentials_could_not_say_such_a_user(sqlite_store: Store, user: str) -> None:
    with pytest.raises(InvalidInput, match="user name"):
        sqlite_store.tokens.create(user, TokenRole.READ, now=NOW)


def test_a_token_is_not_made_expired_or_with_an_endless_description(store: Store) -> None:
    with pytest.raises(InvalidInput, match="expire"):
        store.tokens.create("ada", TokenRole.READ, now=NOW, expires_at=NOW)
    with pytest.raises(InvalidInput, match="description"):
        store.tokens.create("ada", TokenRole.READ, now=NOW, description="x" * 501)
    assert store.tokens.list() == ()
