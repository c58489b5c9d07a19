"""Whatever stands in a pipeline file, it is a pipeline or an InvalidPipeline with places; never a crash."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from headgate.flows import Pipeline, parse_pipeline
from headgate.flows.check import pipeline_mistakes
from headgate.flows.file import PIPELINE_KEYS, PROMOTION_KEYS, SCHEDULE_KEYS, STEP_KEYS
from headgate.store.errors import InvalidPipeline

WORDS = (
    "train",
    "evaluate",
    "{{ steps.train.model }}",
    "{{ steps.evaluate.metrics.f1 }}",
    "{{ params.window }}",
    "{{ run.id }}",
    "{{ steps",
    "@champion",
    "@daily",
    "0 3 * * 1",
    "2h",
    "local",
    "gate.yaml",
    "max",
    "",
)
KEYS = (
    *PIPELINE_KEYS,
    *STEP_KEYS,
    *PROMOTION_KEYS,
    *SCHEDULE_KEYS,
    *("train", "evaluate", "metric", "mode", "type", "default", "checks", "all_of", "window"),
)
scalars = st.one_of(
    st.sampled_from(WORDS), st.none(), st.booleans(), st.integers(-2, 99), st.floats(width=16), st.text(max_size=4)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=12,
)
steps = st.fixed_dictionaries(
    {},
    optional={
        "entry_point": st.one_of(st.sampled_from(WORDS), values),
        "parameters": st.one_of(st.dictionaries(st.sampled_from(KEYS), scalars, max_size=3), values),
        "needs": st.one_of(st.lists(st.sampled_from(("train", "evaluate", "report")), max_size=2), values),
        "sweep": st.one_of(st.dictionaries(st.sampled_from(KEYS), st.lists(scalars, max_size=3), max_size=2), values),
        "choose": values,
        "timeout": scalars,
        "retries": scalars,
    },
)
files = st.fixed_dictionaries(
    {"name": st.one_of(st.just("p"), values)},
    optional={
        "steps": st.one_of(
            st.dictionaries(st.sampled_from(("train", "evaluate", "report")), st.one_of(steps, values), max_size=3),
            values,
        ),
        "parameters": values,
        "schedule": values,
        "env": values,
        "promote": st.one_of(
            st.fixed_dictionaries(
                {
                    "model": scalars,
                    "candidate": st.sampled_from(WORDS),
                    "to": st.sampled_from(WORDS),
                    "gate": st.one_of(st.just("gate.yaml"), values),
                },
                optional={"needs": values, "evaluate": values, "allow_older": scalars},
            ),
            values,
        ),
        "zzz": values,
    },
)


def checked(text: str) -> Pipeline | None:
    try:
        return parse_pipeline(text, file="p.yaml")
    except InvalidPipeline as error:
        mistakes = error.mistakes
    assert mistakes
    lines = text.count("\n") + 1
    for mistake in mistakes:
        assert mistake.what
        assert mistake.file == "p.yaml"
        assert mistake.line is None or 1 <= mistake.line <= lines
    return None


@given(files)
def test_any_structure_is_a_pipeline_or_told_to_be_wrong(content: dict[str, Any]) -> None:
    pipeline = checked(yaml.safe_dump(content, sort_keys=False))
    if pipeline is not None:
        assert pipeline_mistakes(pipeline) == []


@given(values)
def test_any_value_is_a_pipeline_or_told_to_be_wrong(content: Any) -> None:
    checked(yaml.safe_dump(content))
