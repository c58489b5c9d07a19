"""Who people are, and whom a guard lets approve and override: pure functions on plain values.

An entry of an allow-list is a person's name as a door knows it: the user of a token, the id of an Airflow user. Airflow
tells a person as ``Alice Smith (alice)``: they are ``alice``, on a list and without one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from headgate.store.entities import Approval, Guard
from headgate.store.errors import InvalidInput, NotPermitted

MOST_PEOPLE = 200
_MAX_NAME = 256
_WITH_FULL_NAME = re.compile(r".* \((.+)\)", re.DOTALL)


def person(actor: str) -> str:
    """Return who an actor is: the name that a door put in parentheses behind a full one, or else the actor's own."""
    told = _WITH_FULL_NAME.fullmatch(actor)
    return told[1] if told is not None else actor


def on_list(actor: str, allowed: Iterable[str]) -> str | None:
    """Return the person that ``actor`` is on an allow-list; None when they are not on it."""
    entries = [name for name in allowed if actor == name or actor.endswith(f" ({name})")]
    return min(entries, key=len) if entries else None


def approver(guard: Guard | None, word: Approval) -> str | None:
    """Return whose approval a word counts as; None when it does not count.

    A claimed name and the same name authenticated are one person here: nobody fills a quorum alone.
    """
    if guard is None:
        return person(word.actor)
    return counted(word, guard.approvers, authenticated=guard.authenticated)


def counted(word: Approval, allowed: Collection[str], *, authenticated: bool) -> str | None:
    """Return whose approval a word counts as where ``allowed`` may approve, anybody if empty; None when it does not.

    Args:
        authenticated: a name that was only claimed counts for nothing.
    """
    if authenticated and not word.authenticated:
        return None
    return on_list(word.actor, allowed) if allowed else person(word.actor)


def require_may_approve(guard: Guard | None, actor: str, *, authenticated: bool) -> None:
    """Raise NotPermitted unless an approval of ``actor`` counts."""
    if guard is None:
        return
    if guard.approvers and on_list(actor, guard.approvers) is None:
        raise _not_permitted(
            guard, actor, "approve its promotions", f"One of {listed(guard.approvers)} has to approve them."
        )
    if guard.authenticated and not authenticated:
        raise _unauthenticated(guard, actor, "approve its promotions")


def require_may_override(guard: Guard, actor: str, *, authenticated: bool, what: str = "override its gate") -> None:
    """Raise NotPermitted unless ``actor`` is named as one who may override, and is authenticated where that is asked.

    Args:
        what: they want to do, for the message.
    """
    if on_list(actor, guard.overriders) is None:
        who = (
            f"One of {listed(guard.overriders)} may."
            if guard.overriders
            else "Nobody may: the guard names no overriders. Promote through the gate."
        )
        raise _not_permitted(guard, actor, what, who)
    if guard.authenticated and not authenticated:
        raise _unauthenticated(guard, actor, what)


def checked_people(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return an allow-list, each name once and in its order.

    Raises:
        InvalidInput: a name is empty or too long, or there are too many.
    """
    people = tuple(dict.fromkeys(names))
    if len(people) > MOST_PEOPLE or any(not name.strip() or len(name) > _MAX_NAME for name in people):
        raise InvalidInput(
            f"The {what} can't be {list(people)!r:.200}.",
            remedy=f"Name at most {MOST_PEOPLE} people, each with 1 to {_MAX_NAME} characters.",
        )
    return people


def checked_quorum(quorum: int, approvers: tuple[str, ...]) -> int:
    """Return a quorum that can be reached.

    Raises:
        InvalidInput: it is negative, or larger than the number of those who may approve.
    """
    if quorum < 0 or quorum > MOST_PEOPLE or (approvers and quorum > len(approvers)):
        raise InvalidInput(
            f"A quorum of {quorum} can't be reached"
            + (f": {len(approvers)} may approve ({listed(approvers)})." if approvers else "."),
            remedy="Ask for fewer approvals, or name more approvers.",
        )
    return quorum


def listed(names: Iterable[str]) -> str:
    """Return names as a message shows them."""
    return ", ".join(names)


def _not_permitted(guard: Guard, actor: str, what: str, remedy: str) -> NotPermitted:
    return NotPermitted(
        f"{actor or 'Nobody'} may not {what}: {guard.target} of model {guard.model_name!r} is guarded by "
        f"{guard.gate_name!r}, whose guard does not name them.",
        remedy=remedy,
        **_facts(guard, actor),
    )


def _unauthenticated(guard: Guard, actor: str, what: str) -> NotPermitted:
    return NotPermitted(
        f"{actor or 'Nobody'} may not {what} by a name that is only claimed: {guard.target} of model "
        f"{guard.model_name!r} asks for authenticated people.",
        remedy="Set HEADGATE_TOKEN to a token of theirs (headgate tokens create), or use a door that knows them.",
        **_facts(guard, actor),
    )


def _facts(guard: Guard, actor: str) -> dict[str, str]:
    return {
        "model_name": guard.model_name,
        "target": guard.target,
        "gate_name": guard.gate_name,
        "actor": actor,
    }
