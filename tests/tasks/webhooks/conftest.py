"""A SQLite file with tables, made once, and a server that webhooks are sent to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.conftest import migrated_file
from tests.tasks.webhooks.receiver import Receiver, receiving

__all__ = ["migrated_file"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server
