"""The digests of datasets."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.store.errors import InvalidInput
from headgate.tasks import tracking
from tests.tasks.tracking.conftest import RunScript


def digest_of(data: Any) -> str:
    return tracking.dataset("x", data).digest


TABLE = pd.DataFrame(
    {
        "number": [1.5, float("nan"), -2.0],
        "count": [1, 2, 3],
        "text": ["a", None, "ü"],
        "flag": [True, False, True],
        "when": pd.to_datetime(["2026-01-01", "2026-01-02", None]),
        "kind": pd.Categorical(["x", "y", "x"]),
        "nullable": pd.array([1, None, 3], dtype="Int64"),
        "lists": [[1], [], [2, 3]],
    }
)


def test_a_digest_is_the_same_in_every_process_and_release(run_script: RunScript) -> None:
    """These digests stand in stores: metrics are compared only where they agree. A change must be a decision."""
    assert digest_of(np.arange(6, dtype="<i8").reshape(2, 3)) == "bb7c524dbbc668c1233fb629eed85569"
    assert digest_of(pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})) == "3bbeca126eeff47f186e05b250f66983"
    assert digest_of([1, 2.5, "x", None, True, {"b": [1], "a": b"x"}]) == "319bb6bb7afc05458e2509ffa4948f83"
    printed = run_script(
        "import pandas as pd\nprint(tracking.dataset('x', pd.DataFrame({'a': [1.5, 2.5], 'b': ['x', 'y']})).digest)",
        PYTHONHASHSEED="7",
    )
    assert printed == digest_of(pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))


def test_a_copy_has_the_same_digest(tmp_path: Path) -> None:
    assert len(digest_of(TABLE)) == 32
    assert digest_of(TABLE.copy()) == digest_of(TABLE)
    assert digest_of(TABLE[["number"]].iloc[:, 0]) == digest_of(TABLE[["number"]])
    plain = TABLE.drop(columns=["lists", "kind"])
    plain.to_parquet(tmp_path / "t.parquet")
    assert digest_of(pd.read_parquet(tmp_path / "t.parquet")) == digest_of(plain)


@pytest.mark.parametrize(
    "changed",
    [
        TABLE.assign(number=[1.5, float("nan"), -2.5]),
        TABLE.assign(number=[1.5, 0.0, -2.0]),
        TABLE.assign(text=["a", "None", "ü"]),
        TABLE.assign(text=["a", "", "ü"]),
        TABLE.assign(lists=[[1], [], [3, 2]]),
        TABLE.assign(count=np.array([1, 2, 3], "int32")),
        TABLE.assign(flag=[1, 0, 1]),
        TABLE.rename(columns={"number": "Number"}),
        TABLE[TABLE.columns[::-1]],
        TABLE.iloc[::-1].reset_index(drop=True),
        TABLE.iloc[:2],
        TABLE.set_index("when", drop=False),
        TABLE.drop(columns="flag"),
    ],
)
def test_any_change_changes_the_digest(changed: pd.DataFrame) -> None:
    assert digest_of(changed) != digest_of(TABLE)


def test_equal_numbers_have_equal_digests() -> None:
    big_endian = np.array([1.0, 2.0], ">f8")
    assert digest_of(big_endian) == digest_of(np.array([1.0, 2.0], "<f8"))
    assert digest_of(np.array([0.0])) == digest_of(np.array([-0.0]))
    assert digest_of(np.array([float("nan")])) == digest_of(np.array([-float("nan")]))
    assert digest_of(np.asfortranarray(np.eye(3)[:, :2])) == digest_of(np.ascontiguousarray(np.eye(3)[:, :2]))
    assert digest_of(np.arange(10)[::2]) == digest_of(np.array([0, 2, 4, 6, 8]))
    assert digest_of(np.arange(4)) != digest_of(np.arange(4).reshape(2, 2))
    assert digest_of(np.array(["a", "b"])) != digest_of(np.array(["ab", ""]))


def test_the_data_is_not_changed_by_its_digest() -> None:
    array = np.array([-0.0, float("nan")])
    digest_of(array)
    assert np.signbit(array[0])
    table = TABLE.copy(deep=True)
    digest_of(table)
    pd.testing.assert_frame_equal(table, TABLE)


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def _typed(value: Any) -> Any:
    """Return something that is equal only for values of equal types: 1 is not 1.0 and not True."""
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    return type(value).__name__, value


@given(_PLAIN.filter(lambda v: v is not None and not isinstance(v, str)), _PLAIN)
@settings(max_examples=200)
def test_digests_agree_exactly_when_the_data_does(one: Any, other: Any) -> None:
    if other is None or isinstance(other, str):
        other = [other]
    assert (digest_of(one) == digest_of(other)) == (_typed(one) == _typed(other))


def test_files_and_folders_have_the_digest_of_their_bytes(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_bytes(b"a,b\n1,2\n")
    dataset = tracking.dataset("data", file)
    assert dataset.digest == hashlib.sha256(b"a,b\n1,2\n").hexdigest()[:32]
    assert dataset.source_type == "local"
    assert json.loads(dataset.source) == {"uri": str(file)}
    assert tracking.dataset("data", str(file)) == dataset
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "part").write_bytes(b"1")
    before = digest_of(folder)
    (folder / "part").write_bytes(b"2")
    assert digest_of(folder) != before
    with pytest.raises(InvalidInput, match=r"is not at '.*nothing\.csv'"):
        tracking.dataset("data", tmp_path / "nothing.csv")


def test_schemas_and_profiles_are_mlflows() -> None:
    table = tracking.dataset("t", TABLE[["number", "text"]])
    assert json.loads(str(table.schema)) == {
        "mlflow_colspec": [
            {"type": "double", "name": "number", "required": False},
            {"type": "string", "name": "text", "required": False},
        ]
    }
    assert json.loads(str(table.profile)) == {"num_rows": 3, "num_elements": 6}
    array = tracking.dataset("a", np.zeros((4, 2)))
    schema = json.loads(str(array.schema))["mlflow_tensorspec"]
    assert json.loads(schema["features"])[0]["tensor-spec"] == {"dtype": "float64", "shape": [-1, 2]}
    assert json.loads(str(array.profile))["features_shape"] == [4, 2]
    assert tracking.dataset("a", {"x": np.zeros(3), "y": np.ones(3)}).schema is not None
    assert json.loads(array.source)["tags"]["mlflow.source.type"] == "LOCAL"
    assert tracking.dataset("a", [complex(1, 2)], digest="said").schema is None


def test_a_digest_may_be_said() -> None:
    dataset = tracking.dataset("orders", digest="v17", source="https://warehouse.example.org/orders")
    assert (dataset.digest, dataset.source_type) == ("v17", "http")
    assert json.loads(dataset.source) == {"url": "https://warehouse.example.org/orders"}
    assert tracking.dataset("orders", TABLE, digest="v17").digest == "v17"
    with pytest.raises(InvalidInput, match="neither data nor a digest"):
        tracking.dataset("orders")


@pytest.mark.parametrize("data", [object(), [object()], pd.DataFrame({"a": [object()]}), np.array([object()])])
def test_what_has_no_digest(data: Any) -> None:
    with pytest.raises(InvalidInput, match="which has no digest") as caught:
        tracking.dataset("odd", data)
    assert "builtins.object" in caught.value.message


def test_dates_have_digests() -> None:
    day = datetime.date(2026, 1, 1)
    assert digest_of([day]) != digest_of([day.isoformat()])
    assert digest_of(np.array(["2026-01-01"], "M8[D]")) != digest_of(np.array(["2026-01-02"], "M8[D]"))
