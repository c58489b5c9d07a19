"""``docs/prefect-events.md`` says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from headgate.prefect import events
from headgate.prefect.channel import CHANNEL_VARIABLE, DEFAULT_CHANNEL
from headgate.tasks.promoted import PromotedModel

PAGE = (Path(__file__).parents[3] / "docs" / "prefect-events.md").read_text()


def test_every_field_of_a_promotion_is_in_its_table() -> None:
    table = PAGE.partition("The payload is the committed record:")[2].partition("\n\nThat of a rejection")[0]
    said = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    assert said >= {field.name for field in fields(PromotedModel)}
    assert said - {field.name for field in fields(PromotedModel)} == {
        *("workspace", "model_uri", "approval_id", "approved_by")
    }


def test_the_names_of_events_and_labels_are_those_of_the_code() -> None:
    assert {events.PROMOTED, events.ROLLED_BACK, events.REJECTED} == set(re.findall(r"`(model-version\.[\w-]+)`", PAGE))
    labels = {value for name, value in vars(events).items() if name.endswith("_LABEL")}
    assert labels == set(re.findall(r"`(headgate\.[a-z]+)`", PAGE))
    assert f"`{CHANNEL_VARIABLE}`" in PAGE
    assert f"it is `{DEFAULT_CHANNEL}` unless said" in PAGE
