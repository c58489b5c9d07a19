"""The page of the wire API says what is served."""

from __future__ import annotations

from tests.wire_page import PAGE, page


def test_the_page_lists_every_endpoint_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "docs/wire-api.md is out of date: run `make wire-api`"
