"""``models:/`` URIs: every form that MLflow takes, read and resolved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.errors import InvalidInput, NotFound
from headgate.store.registry import ModelUri, parse_model_uri
from headgate.store.store import Store

NOW = 1_800_000_000_000

FORMS = {
    "models:/m-0123": ModelUri(model_id="m-0123"),
    "models:/any name": ModelUri(model_id="any name"),
    "models:/screening/3": ModelUri(name="screening", version=3),
    "models:/screening/latest": ModelUri(name="screening"),
    "models:/screening/LATEST": ModelUri(name="screening"),
    "models:/screening/Production": ModelUri(name="screening", stage="Production"),
    "models:/screening@champion": ModelUri(name="screening", alias="champion"),
    "models:/a@b@champion": ModelUri(name="a@b", alias="champion"),
}
IMPROPER = [
    "",
    "models:",
    "models:/",
    "models://",
    "models:m/1",
    "model:/m/1",
    "models:/m/1/2",
    "models:/m/",
    "models:/m/ ",
    "models:/ /1",
    "models:/m@",
    "models:/@champion",
    "runs:/abc/model",
    "s3://bucket/m",
    "models://[host/m",
]


@pytest.mark.parametrize("uri", FORMS)
def test_every_form_is_read(uri: str) -> None:
    assert parse_model_uri(uri) == FORMS[uri]


@pytest.mark.parametrize("uri", IMPROPER)
def test_what_is_none_says_what_to_write(uri: str) -> None:
    with pytest.raises(InvalidInput, match="Not a proper models:/ URI") as improper:
        parse_model_uri(uri)
    assert "models:/<model_id>" in improper.value.remedy


@given(st.one_of(st.text(), st.text().map("models:/{}".format)))
def test_any_text_is_a_uri_or_improper(text: str) -> None:
    try:
        uri = parse_model_uri(text)
    except InvalidInput:
        return
    assert (uri.model_id is None) != (uri.name is None)


def test_uris_lead_to_what_they_name(store: Store) -> None:
    model = store.logged_models.create("0", now=NOW)
    store.registry.create_model("m", now=NOW)
    for number in range(3):
        store.registry.create_version("m", f"s3://{number}", now=NOW)
    store.registry.transition_stage("m", 1, "Production", now=NOW)
    store.registry.transition_stage("m", 2, "Production", now=NOW)
    store.registry.set_alias("m", "champion", 1)

    assert store.registry.resolve_model_uri(model.model_uri) == model
    for uri, number in {
        "models:/m/1": 1,
        "models:/m/latest": 3,
        "models:/m/production": 2,
        "models:/m@champion": 1,
        "models:/m@latest": 3,
    }.items():
        assert store.registry.resolve_model_uri(uri) == store.registry.get_version("m", number)


def test_uris_to_nothing_say_what_is_missing(store: Store) -> None:
    store.registry.create_model("m", now=NOW)

    for uri, kind in {
        "models:/m-unknown": "logged model",
        "models:/m/1": "model version",
        "models:/m/latest": "model version",
        "models:/m/Staging": "model version",
        "models:/m@champion": "alias",
        "models:/none/latest": "registered model",
    }.items():
        with pytest.raises(NotFound) as missing:
            store.registry.resolve_model_uri(uri)
        assert missing.value.kind == kind
    with pytest.raises(InvalidInput, match="Invalid Model Version stage"):
        store.registry.resolve_model_uri("models:/m/nowhere")
