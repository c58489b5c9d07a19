"""The order of a search: MLflow's ``"<entity>.<key> [ASC|DESC]"`` clauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.store.search.grammar import Scanner
from headgate.store.search.vocabulary import Field, Kind, Vocabulary

MAX_CLAUSES = 20


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One clause: a field and its direction. Objects without the field come last in both directions."""

    field: Field
    ascending: bool = True


def parse_order_by(clauses: Sequence[str] | None, vocabulary: Vocabulary) -> tuple[OrderBy, ...]:
    """Read the clauses of an order, the first being the most important.

    Raises:
        InvalidFilter: a clause can't be read, orders by what can't be ordered by, or repeats a field.
    """
    parsed: list[OrderBy] = []
    for clause in clauses or ():
        scanner = Scanner(clause, "order_by clause")
        order = _clause(scanner, vocabulary)
        if any(order.field == earlier.field for earlier in parsed):
            raise scanner.mistake(f"`order_by` contains duplicate fields: {order.field}", "Name each field once.", 0)
        parsed.append(order)
        if len(parsed) > MAX_CLAUSES:
            raise scanner.mistake("`order_by` has too many clauses", f"Use at most {MAX_CLAUSES}.", 0)
    return tuple(parsed)


def _clause(scanner: Scanner, vocabulary: Vocabulary) -> OrderBy:
    if scanner.at_end():
        raise scanner.mistake("An empty clause", "Write one as metrics.accuracy DESC, or leave it out.")
    field = scanner.take_field(vocabulary, quoted_whole=True)
    if not _may_order(field, vocabulary):
        known = [name for name, attribute in vocabulary.attributes.items() if attribute.ordered]
        raise scanner.mistake(
            f"{vocabulary.subject.capitalize()} can't be ordered by {field}", f"Use {', '.join(known)}.", 0
        )
    ascending = not scanner.take_word("DESC")
    if ascending:
        scanner.take_word("ASC")
    if not scanner.at_end():
        raise scanner.mistake(
            f"Invalid ordering key: {scanner.here()} stands here", "Write ASC or DESC; quote other keys in backticks."
        )
    return OrderBy(field, ascending)


def _may_order(field: Field, vocabulary: Vocabulary) -> bool:
    if field.kind not in vocabulary.ordered:
        return False
    return field.kind is not Kind.ATTRIBUTE or vocabulary.attributes[field.key].ordered
