"""Page tokens: the position of the last object of a page, in the order of the search.

A page starts behind a position, not at an offset, so pages neither repeat nor skip objects while others arrive. A token
carries a digest of the search that it belongs to and of itself; another search does not take it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TypeVar

from headgate.store.entities import LifecycleStage
from headgate.store.errors import InvalidInput
from headgate.store.validation import parse_experiment_id, shorten

MOST_EXPERIMENTS_SEARCHED = 5000

_DIGEST_BYTES = 12
_MAX_TOKEN_LENGTH = 100_000

T = TypeVar("T")


class Rank(IntEnum):
    """Where an object stands in an order: those with a value, then those with NaN, then those without."""

    VALUE = 0
    NAN = 1
    MISSING = 2


# What an order says of an object, clause by clause; the value is None unless the rank is VALUE.
Mark = tuple[Rank, Any]
Position = tuple[Mark, ...]


def make_page_token(query: Sequence[Any], position: Position) -> str:
    """Return the token of the page behind ``position``.

    Args:
        query: everything that makes the search what it is, as JSON values.
    """
    body = json.dumps([[int(rank), value] for rank, value in position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(query, body) + body).decode()


def read_page_token(token: str | None, query: Sequence[Any], kinds: Sequence[type]) -> Position | None:
    """Return the position that a page starts behind; None for the first page.

    Args:
        query: as :func:`make_page_token` was given it.
        kinds: ``str``, ``int`` or ``float``, one for each clause of the order.

    Raises:
        InvalidInput: the token belongs to another search, or is none of ours.
    """
    if not token:
        return None
    try:
        if len(token) > _MAX_TOKEN_LENGTH:
            raise ValueError("too long")
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest != _digest(query, body):
            raise ValueError("of another search")
        marks = json.loads(body)
        if len(marks) != len(kinds):
            raise ValueError("of another order")
        return tuple(_mark(rank, value, kind) for (rank, value), kind in zip(marks, kinds, strict=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"The page token {shorten(token)} does not belong to this search.",
            remedy="Send the token with the very search that returned it, or start again without one.",
            page_token=token[:200],
        ) from error


def check_max_results(max_results: int, most: int) -> int:
    """Return the size of a page when it is one.

    Raises:
        InvalidInput: it is not a number from 1 to ``most``.
    """
    if isinstance(max_results, bool) or not isinstance(max_results, int) or not 1 <= max_results <= most:
        raise InvalidInput(
            f"Invalid value {shorten(max_results)} for max_results.",
            remedy=f"It must be at least 1 and at most {most}.",
            max_results=max_results,
        )
    return max_results


def parse_experiment_ids(experiment_ids: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of the experiments that a search looks in, each once.

    Raises:
        InvalidInput: one is not a number, or there are more than one statement can name.
    """
    numbers = tuple(sorted({parse_experiment_id(experiment_id) for experiment_id in experiment_ids}))
    if len(numbers) > MOST_EXPERIMENTS_SEARCHED:
        raise InvalidInput(
            f"The search names {len(numbers)} experiments.",
            remedy=f"Search in at most {MOST_EXPERIMENTS_SEARCHED:,} at once.",
        )
    return numbers


def stages_of(view_type: LifecycleStage | None) -> tuple[str, ...]:
    """Return the lifecycle stages that a search looks at; None stands for all of them."""
    looked_at = tuple(LifecycleStage) if view_type is None else (LifecycleStage(view_type),)
    return tuple(stage.value for stage in looked_at)


def _mark(rank: Any, value: Any, kind: type) -> Mark:
    known = Rank(rank)
    if known is not Rank.VALUE:
        return known, None
    if kind is float and isinstance(value, int):
        value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise TypeError(f"{value!r} where {kind.__name__} belongs")
    return known, value


def _digest(query: Sequence[Any], body: bytes) -> bytes:
    said = json.dumps(query, separators=(",", ":")).encode()
    return hashlib.blake2b(said + b"\0" + body, digest_size=_DIGEST_BYTES).digest()
