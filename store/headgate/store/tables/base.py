"""What every table shares: a registry of Headgate's own, names for constraints, and column types that mean the same on
SQLite, PostgreSQL and MariaDB/MySQL.

The registry keeps Headgate's tables out of ``SQLModel.metadata``, which belongs to the host's own models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import JSON, BigInteger, Dialect, Double, Integer, MetaData, String, Text
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

if TYPE_CHECKING:
    from sqlalchemy import Table

TABLE_PREFIX = "headgate_"

_NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMING_CONVENTION)


class Base(SQLModel, registry=registry(metadata=metadata)):
    """Base of every table of the store."""

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

    # Rows are read and written by SQLAlchemy Core: a validator of each would be built in every process, and never used.
    model_config = {"defer_build": True}


# A type that differs between databases loads its dialect when one of these is there, not in every process.
# An INTEGER PRIMARY KEY is SQLite's rowid and takes 64 bits; elsewhere 64 bits have to be asked for.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# An index can't hold a long value whole (InnoDB 3,072 bytes, PostgreSQL about 2,700): searches by value use an indexed
# head of the value and then compare the whole of it.
VALUE_HEAD_LENGTH = 200


class _Json(TypeDecorator[Any]):
    """JSON; on PostgreSQL its binary form."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB())
        return super().load_dialect_impl(dialect)


class _LongText(TypeDecorator[str]):
    """Text that may be longer than the 64 kB of MySQL's TEXT."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects.mysql import LONGTEXT

            return dialect.type_descriptor(LONGTEXT())
        return super().load_dialect_impl(dialect)


class BytewiseText(TypeDecorator[str]):
    """Short text that is equal and ordered by its UTF-8 bytes, and indexed so, on every database.

    PostgreSQL orders by the database's language otherwise, and MySQL takes ``'a'`` and ``'a '`` for equal.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(String(self._length, collation="C"))
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects.mysql import VARBINARY

            return dialect.type_descriptor(VARBINARY(4 * self._length))
        return dialect.type_descriptor(String(self._length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value.encode() if value is not None and dialect.name in ("mysql", "mariadb") else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


Json = _Json()
LongText = _LongText()
ValueHead = BytewiseText(VALUE_HEAD_LENGTH)

ID_LENGTH = 36
KEY_LENGTH = 250
NAME_LENGTH = 500
WORKSPACE_LENGTH = 63
DIGEST_LENGTH = 128
TARGET_LENGTH = 300


def value_head(value: str) -> str:
    """Return the part of a value that the index over values holds."""
    return value[:VALUE_HEAD_LENGTH]


def table_args(*items: Any, **options: Any) -> tuple[Any, ...]:
    """Return ``__table_args__``; the collation that every table needs on MySQL is given where migrations create it."""
    return (*items, options)


__all__ = [
    "Base",
    "BigId",
    "BigInteger",
    "Double",
    "Json",
    "LongText",
    "String",
    "Text",
    "ValueHead",
    "metadata",
    "table_args",
    "value_head",
]
