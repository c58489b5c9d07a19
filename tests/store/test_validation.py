"""What may be written is what MLflow lets be written: compared with MLflow's own functions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.store.entities import Param, Tag
from headgate.store.errors import InvalidInput
from headgate.store.validation import check_experiment_name, check_key, check_params, check_tags

keys = st.one_of(
    st.text(alphabet="ab/.-_: ,=\tü1é", max_size=12),
    st.text(max_size=20),
    st.integers(248, 252).map(lambda length: "k" * length),
)


def accepts(check: Callable[..., object], *arguments: object) -> bool:
    try:
        check(*arguments)
    except Exception as error:  # MLflow's root is not imported for the sake of one test
        if type(error).__name__ not in ("InvalidInput", "MlflowException"):
            raise
        return False
    return True


def test_what_may_be_written_is_what_mlflow_lets_be_written() -> None:
    from mlflow.utils import validation  # in one test only: the import takes seconds

    @settings(max_examples=300, deadline=None)
    @given(key=keys)
    @example("a\x85b")
    @example("..a")
    @example(" ")
    def same_names(key: str) -> None:
        if key.endswith("\n"):
            return  # MLflow's `$` lets a newline at the end through
        assert accepts(check_key, "metric", key) == accepts(validation._validate_metric, key, 1.0, 1, 1)
        assert accepts(check_key, "param", key) == accepts(validation._validate_param, key, "1")
        assert accepts(check_key, "tag", key) == accepts(validation._validate_tag, key, "1")

    same_names()
    for value in ("ü" * length for length in (0, 1, 5999, 6000, 6001, 7999, 8000, 8001, 20_000)):
        assert check_params([Param("k", value)]) == {"k": validation._validate_param("k", value).value}
        assert check_tags([Tag("k", value)]) == {"k": validation._validate_tag("k", value).value}
    for name in ("a", "a" * 500, "a" * 501, "", "a/b,c"):
        assert accepts(check_experiment_name, name) == accepts(validation._validate_experiment_name, name)


def test_name_with_a_newline_is_refused() -> None:
    assert not accepts(check_key, "metric", "loss\n")


@given(value=st.text(max_size=50))
def test_values_are_kept_or_refused_but_never_changed(value: str) -> None:
    try:
        kept = check_params({"k": value})["k"]
    except InvalidInput:
        assert "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)
    else:
        assert kept == value
        assert kept.encode().decode() == value


def test_errors_name_the_object_and_what_to_do() -> None:
    with pytest.raises(InvalidInput, match=r"'a,b' can't be the name of a metric: it has characters") as raised:
        check_key("metric", "a,b")
    assert "Use letters" in raised.value.remedy
    with pytest.raises(InvalidInput, match=r"as a path it would be '\.\./x'"):
        check_key("tag", "a/../../x")
    with pytest.raises(InvalidInput, match="251 characters, and 250 is the most"):
        check_key("param", "k" * 251)
