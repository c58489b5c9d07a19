"""The history of promotions, read as what it means: pure functions over its events.

The history is append-only. Who holds a target is the ``to_version`` of its last event; whom a rollback brings back is
on the stack of holders that promotions and overrides push to and rollbacks pop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from headgate.store.entities import Promotion, PromotionKind


class Moved(Protocol):
    """What an event of the history says of who held the target: a Promotion, or a :class:`Move`."""

    @property
    def kind(self) -> PromotionKind: ...
    @property
    def from_version(self) -> int | None: ...
    @property
    def to_version(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Move:
    """An event of the history, and only what moved."""

    kind: PromotionKind
    from_version: int | None
    to_version: int | None


def fold(history: Iterable[Promotion]) -> dict[tuple[str, str], int | None]:
    """Return the current holder of each (model, target) of a history; None for an empty one.

    The events may come in any order.
    """
    last: dict[tuple[str, str], Promotion] = {}
    for event in history:
        key = (event.model_name, event.target)
        if key not in last or last[key].sequence < event.sequence:
            last[key] = event
    return {key: event.to_version for key, event in last.items()}


def holders(history: Iterable[Moved]) -> tuple[int | None, ...]:
    """Return the stack of holders of one target; the last one holds it now, the one before is whom a rollback restores.

    A promotion, or an override, pushes its version. A rollback pops down to the version that it went back to, so two
    rollbacks go back two promotions, not to and fro. None stands for "nobody". Where the target was moved by hand
    between two events (it was not guarded then), that holder is on the stack too.

    Args:
        history: the events of one (model, target), by sequence.
    """
    stack = _stack(history, whole=True)
    assert stack is not None
    return tuple(stack)


def previous_holder(
    history: Iterable[Moved], holder: int | None, *, whole: bool = True
) -> tuple[bool, int | None] | None:
    """Return whether there is a holder to roll back to, and which version (None for "nobody").

    Args:
        history: the events of one (model, target), by sequence.
        holder: who holds the target in fact, which differs from the history's end when it was moved by hand since.
        whole: whether these are all events; else they are the latest, and None is the answer when they don't tell.
    """
    stack = _stack(history, whole=whole)
    if stack is None:
        return None
    if stack and stack[-1] != holder:
        return True, stack[-1]
    if len(stack) > 1:
        return True, stack[-2]
    return (False, None) if whole else None


def _stack(history: Iterable[Moved], *, whole: bool) -> list[int | None] | None:
    """Return the stack of holders, or its top as far as the latest events tell; None when they don't tell its top."""
    stack: list[int | None] = []
    for event in history:
        if not stack or stack[-1] != event.from_version:
            stack.append(event.from_version)
        if event.kind is PromotionKind.ROLL_BACK and event.to_version in stack[:-1]:
            stack.pop()
            while stack[-1] != event.to_version:
                stack.pop()
        elif event.kind is PromotionKind.ROLL_BACK and not whole:
            return None
        else:
            stack.append(event.to_version)
    return stack
