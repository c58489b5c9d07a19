"""Steps of a migration that may run twice.

MariaDB and MySQL commit every DDL statement at once: a migration that dies half-way is started again from its
beginning, and what it made the first time is still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT, VARBINARY
from sqlalchemy.dialects.postgresql import JSONB

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
LONG_TEXT = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def bytewise_text(length: int) -> sa.types.TypeEngine[Any]:
    """Return the type of text that is ordered by its UTF-8 bytes."""
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(VARBINARY(4 * length), "mysql", "mariadb")
    )


def create_table(name: str, *items: sa.Column[Any] | sa.Constraint, **options: Any) -> None:
    """Create a table whose texts differ by case and by trailing spaces, unless it exists."""
    op.create_table(name, *items, if_not_exists=True, **_collation(), **options)


def _collation() -> dict[str, str]:
    dialect = op.get_bind().dialect
    if dialect.name not in ("mysql", "mariadb"):
        return {}
    # Without trailing spaces (`utf8mb4_bin` pads) `loss` and `loss ` would be one metric. MySQL and MariaDB name the
    # collation that looks at them differently.
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {f"{dialect.name}_charset": "utf8mb4", f"{dialect.name}_collate": collation}


def create_index(name: str, table: str, columns: Sequence[str], *, unique: bool = False) -> None:
    """Create an index, unless the table has it."""
    existing = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name not in existing:
        op.create_index(name, table, list(columns), unique=unique)
