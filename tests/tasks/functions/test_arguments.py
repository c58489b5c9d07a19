"""Arguments as params: short, the same in every process, and without secrets."""

from __future__ import annotations

import datetime
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr
from sklearn.linear_model import LogisticRegression

from headgate.tasks.functions.arguments import params_of_call, secrets_of_call

CANARY = "canary-of-the-tests"


class Kind(Enum):
    GINI = "gini"


@dataclass
class Config:
    depth: int
    api_key: str


class Opaque:
    """Says something else in every process."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"looked at {name}")


def text_of(value: Any, name: str = "value") -> str:
    def function(**arguments: Any) -> None: ...

    return params_of_call(function, (), {name: value})[name]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6, "6"),
        (0.1, "0.1"),
        (True, "True"),
        (None, "None"),
        ("text", "text"),
        (Path("a/b"), "a/b"),
        (Decimal("0.10"), "0.10"),
        (datetime.date(2026, 11, 21), "2026-11-21"),
        (datetime.timedelta(hours=1), "1:00:00"),
        (Kind.GINI, "gini"),
        ([1, "ä", None, True], '[1, "ä", null, true]'),
        ((1, 2), "[1, 2]"),
        ({"a": {"b": [0.5]}}, '{"a": {"b": [0.5]}}'),
        ({3, 1, 2}, "[1, 2, 3]"),
        (range(3), "[0, 1, 2]"),
        (np.float32(0.5), "0.5"),
        ([np.int64(3)], "[3]"),
        (np.zeros((4, 3)), "numpy.ndarray(4 x 3)"),
        (pd.DataFrame({"x": [1, 2]}), "pandas.core.frame.DataFrame(2 x 1)"),
        (LogisticRegression(), "sklearn.linear_model._logistic.LogisticRegression"),
        (Opaque, "tests.tasks.functions.test_arguments.Opaque"),
        (text_of, "tests.tasks.functions.test_arguments.text_of"),
        ({"when": datetime.date(2026, 1, 2), "frame": pd.DataFrame()}, None),
    ],
)
def test_what_a_value_is_recorded_as(value: Any, text: str | None) -> None:
    expected = '{"when": "2026-01-02", "frame": "pandas.DataFrame(0 x 0)"}' if text is None else text
    got = text_of(value).replace("pandas.core.frame.DataFrame", "pandas.DataFrame")
    assert got == expected.replace("pandas.core.frame.DataFrame", "pandas.DataFrame")


def test_every_kind_of_argument_has_its_name() -> None:
    def train(data: str, /, depth: int, *rest: int, rate: float = 0.5, **options: Any) -> None: ...

    assert params_of_call(train, ("d", 6, 7, 8), {"seed": 1}) == {
        "data": "d",
        "depth": "6",
        "rest": "[7, 8]",
        "rate": "0.5",
        "seed": "1",
    }
    assert params_of_call(train, ("d", 6), {}) == {"data": "d", "depth": "6", "rate": "0.5"}
    with pytest.raises(TypeError, match="depth"):
        params_of_call(train, ("d",), {})


def test_what_is_left_out_is_not_looked_at() -> None:
    def task(n: int, ti: Any, **context: Any) -> None: ...

    opaque = Opaque()
    known = {"ti": opaque, "conn": opaque, "n": 4}
    assert params_of_call(task, (3, opaque), {"conn": opaque, "mine": 1}, without=known) == {"n": "3", "mine": "1"}
    assert secrets_of_call(task, (3, opaque), {"conn": opaque}, without=known) == []


def test_a_long_value_is_abbreviated_as_mlflow_does() -> None:
    for value in ("x" * 6001, list(range(100_000)), {"deep": ["y" * 100_000]}, [[[0] * 1000] * 1000] * 1000):
        text = text_of(value)
        assert len(text) == 6000
        assert text.endswith("...")
    assert text_of("x" * 6000) == "x" * 6000


def test_nesting_ends_somewhere() -> None:
    nested: list[Any] = []
    nested.append(nested)
    assert text_of(nested).count("[") < 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", CANARY),
        ("value", SecretStr(CANARY)),
        ("value", [SecretStr(CANARY)]),
        ("value", {"password": CANARY, "x": 1}),
        ("value", {"credentials": {"user": CANARY}}),
        ("value", Config(6, CANARY)),
        ("value", f"postgresql://me:{CANARY}@host/db"),
        ("value", [f"postgresql://me:{CANARY}@host/db"]),
        ("value", "x" * 5990 + f" postgresql://me:{CANARY}@host/db"),
    ],
)
def test_no_secret_is_recorded(name: str, value: Any) -> None:
    text = text_of(value, name)
    assert CANARY[:6] not in text
    assert "***" in text or text.endswith("...")


def test_secrets_are_known_to_be_masked_elsewhere() -> None:
    def connect(user: str, password: str, token: SecretStr, count: int = 3) -> None: ...

    assert secrets_of_call(connect, ("me", "pw-1"), {"token": SecretStr("t-1")}) == ["pw-1", "t-1"]


def test_a_set_is_recorded_the_same_in_every_process() -> None:
    script = (
        "from headgate.tasks.functions.arguments import params_of_call\n"
        "print(params_of_call(lambda s: None, ({'a', 'b', 'c', 'd', 'e'},), {})['s'])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert said == {'["a", "b", "c", "d", "e"]\n'}
