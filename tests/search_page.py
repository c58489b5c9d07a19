"""Writes the tables of ``docs/search.md`` from the vocabularies of searches: ``python -m tests.search_page``."""

from __future__ import annotations

import re
from pathlib import Path

from headgate.store.search.vocabulary import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Kind,
    Operator,
    Values,
    Vocabulary,
)

PAGE = Path(__file__).parents[1] / "docs" / "search.md"

_PREFIXES = {Kind.METRIC: "metrics.*key*", Kind.PARAM: "params.*key*", Kind.TAG: "tags.*key*"}
_VALUES = {
    Values.TEXT: "text",
    Values.NUMBER: "number",
    Values.WHOLE: "whole number",
    Values.WHOLE_OR_QUOTED: "whole number",
}


def search_page() -> str:
    """Return the page with its tables as the vocabularies have them."""
    page = PAGE.read_text()
    for vocabulary in (RUNS, EXPERIMENTS, REGISTERED_MODELS, MODEL_VERSIONS, LOGGED_MODELS):
        heading = f"### {vocabulary.subject.capitalize()}\n"
        pattern = re.compile(f"({re.escape(heading)}\n)(?:\\|.*\n)*\n*")
        page, found = pattern.subn(lambda match, v=vocabulary: match.group(1) + _table(v) + "\n", page)  # type: ignore[misc]
        if found != 1:
            raise LookupError(f"{PAGE} has {found} headings {heading.strip()!r}")
    return page.rstrip() + "\n"


def _table(vocabulary: Vocabulary) -> str:
    rows = ["| field | compared by | with | ordered by |", "|---|---|---|---|"]
    for name, attribute in vocabulary.attributes.items():
        spellings = ", ".join(f"`{spelling}`" for spelling in (name, *attribute.aliases))
        rows.append(_row(spellings, attribute.operators, _VALUES[attribute.values], attribute.ordered))
    for kind, operators in vocabulary.compared.items():
        ordered = kind in vocabulary.ordered
        if kind is Kind.DATASET:
            names = ", ".join(f"`dataset.{key}`" for key in vocabulary.dataset_keys)
            rows.append(_row(names, operators, "text", ordered))
        else:
            values = "number" if kind is Kind.METRIC else "text"
            rows.append(_row(_PREFIXES[kind], operators, values, ordered))
    return "\n".join(rows) + "\n"


def _row(names: str, operators: frozenset[Operator], values: str, ordered: bool) -> str:
    said = " ".join(f"`{operator.value}`" for operator in Operator if operator in operators)
    return f"| {names} | {said or '-'} | {values if said else ''} | {'yes' if ordered else '-'} |"


if __name__ == "__main__":
    PAGE.write_text(search_page())
