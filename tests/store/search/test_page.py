"""``docs/search.md`` lists the fields that there are."""

from __future__ import annotations

from tests.search_page import PAGE, search_page


def test_the_page_lists_every_field_and_operator() -> None:
    assert PAGE.read_text() == search_page(), "run: python -m tests.search_page"
