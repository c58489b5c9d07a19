"""The template grammar: what it reads, what it refuses, and that writing and reading are inverses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.flows.references import (
    RUN_FIELDS,
    ArtifactReference,
    MetricReference,
    ModelReference,
    ParameterReference,
    RunIdReference,
    RunReference,
    StepParamReference,
    Template,
    parse_template,
)
from headgate.store.errors import InvalidPipeline

names = st.text(min_size=1, max_size=12)
paths = st.lists(
    st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)
references = st.one_of(
    names.map(ModelReference),
    names.map(RunIdReference),
    st.builds(ArtifactReference, names, paths),
    st.builds(MetricReference, names, names),
    st.builds(StepParamReference, names, names),
    names.map(ParameterReference),
    st.sampled_from(RUN_FIELDS).map(RunReference),
)
texts = st.one_of(st.text(max_size=10), st.text("{}'\" .\\", max_size=6))
templates = st.lists(st.one_of(texts, references), max_size=6).map(lambda parts: Template(tuple(parts)))


@given(templates)
def test_what_is_written_reads_back_as_itself(template: Template) -> None:
    assert parse_template(str(template)) == template


@given(st.one_of(st.text(), st.text("{}[]'\".\\ stepaunmod_-", max_size=40)))
def test_any_text_is_read_or_refused_with_a_remedy(text: str) -> None:
    refused: InvalidPipeline | None = None
    try:
        template = parse_template(text)
    except InvalidPipeline as error:
        refused = error
    if refused is None:
        assert parse_template(str(template)) == template
    else:
        assert refused.remedy
        assert text[refused.position :].startswith("{{")


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_braces_stays_as_it_is(text: str) -> None:
    assert parse_template(text).render(lambda _: "never") == text


@given(templates, st.text(max_size=5))
def test_rendering_keeps_the_text_and_replaces_every_reference(template: Template, value: str) -> None:
    rendered = template.render(lambda _: value)
    assert rendered == "".join(part if isinstance(part, str) else value for part in template.parts)


def test_a_reference_without_a_value_stays_as_it_is_written() -> None:
    template = parse_template("{{params.a}}-{{ params['b'] }}")
    known = {ParameterReference("a"): "1"}
    assert template.render(known.get) == "1-{{ params.b }}"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("{{ steps.train.model }}", ModelReference("train")),
        ("{{steps.train.model}}", ModelReference("train")),
        ("{{ steps['train'].model }}", ModelReference("train")),
        ("{{ steps.train-all.run_id }}", RunIdReference("train-all")),
        ("{{ steps.prepare.artifacts['data/train.parquet'] }}", ArtifactReference("prepare", "data/train.parquet")),
        ("{{ steps.prepare.artifacts['./data//train'] }}", ArtifactReference("prepare", "data/train")),
        ('{{ steps.prepare.artifacts["it\'s"] }}', ArtifactReference("prepare", "it's")),
        ("{{ steps.prepare.artifacts['it\\'s'] }}", ArtifactReference("prepare", "it's")),
        ("{{ steps.prepare.artifacts.report }}", ArtifactReference("prepare", "report")),
        ("{{ steps.train.metrics.val_f1 }}", MetricReference("train", "val_f1")),
        ("{{ steps.train.metrics['val/f1 }}'] }}", MetricReference("train", "val/f1 }}")),
        ("{{ steps.train.params.max_depth }}", StepParamReference("train", "max_depth")),
        ("{{ params.window }}", ParameterReference("window")),
        ("{{ run.logical_date }}", RunReference("logical_date")),
    ],
)
def test_every_form_of_reference(text: str, reference: object) -> None:
    assert parse_template(text).sole_reference == reference


def test_braces_can_be_written() -> None:
    template = parse_template("{{ '{{' }} literal }}")
    assert template.references == ()
    assert template.render(lambda _: None) == "{{ literal }}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{{ steps.train.modle }}", "Did you mean 'model'?"),
        ("{{ step.train.model }}", "Did you mean 'steps'?"),
        ("{{ run.logicaldate }}", "Did you mean 'logical_date'?"),
        ("{{ steps.train }}", "names nothing"),
        ("{{ params }}", "names nothing"),
        ("{{ params.a.b }}", "names nothing"),
        ("{{ steps.train.model.uri }}", "goes too deep"),
        ("{{ steps.train.artifacts }}", "artifacts['train.parquet']"),
        ("{{ steps.train.artifacts.train.parquet }}", "artifacts['train.parquet']"),
        ("{{ steps.train.artifacts['../secret'] }}", "leaves the run's artifacts"),
        ("{{ steps.train.artifacts['/etc/passwd'] }}", "leaves the run's artifacts"),
        ("{{ steps.train.artifacts[''] }}", "leaves the run's artifacts"),
        ("{{ params.window | upper }}", "can't be read"),
        ("{{ params.window() }}", "can't be read"),
        ("{{ params.window + 1 }}", "can't be read"),
        ("{{ params.__class__.__mro__ }}", "names nothing"),
        ("{{ params[window] }}", "lacks a quote"),
        ("{{ params['window }}", "has an open quote"),
        ("{{ params['window' }}", "has an open bracket"),
        ("{{ params. }}", "lacks a name after the dot"),
        ("{{ }}", "does not start with a name"),
        ("{{ 3 }}", "does not start with a name"),
        ("so far so good {{ params.window", "is not closed"),
    ],
)
def test_what_is_not_in_the_grammar_is_refused(text: str, what: str) -> None:
    with pytest.raises(InvalidPipeline) as caught:
        parse_template(text)
    assert what in str(caught.value)
    assert caught.value.remedy
