"""Tokens and passwords that open the store's API over HTTP, kept as hashes."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import ID_LENGTH, Base, BigInteger, table_args


class TokenRow(Base, table=True):
    """A token: sent as a bearer token, or as the password of basic credentials whose user name is ``user_name``.

    A token is 256 random bits, so a plain SHA-256 of it can't be reversed. Users choose no passwords: there is no weak
    secret to stretch.
    """

    __tablename__ = "headgate_token"
    __table_args__ = table_args(UniqueConstraint("secret_hash"))

    token_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    user_name: str = Field(max_length=256, index=True)
    role: str = Field(max_length=16)
    secret_hash: str = Field(max_length=64)
    description: str = Field(default="", max_length=500)
    created_at: int = Field(sa_type=BigInteger)
    created_by: str = Field(default="", max_length=256)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)
