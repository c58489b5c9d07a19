"""Plain Python predictors, and the code that travels with them."""

from __future__ import annotations

import functools
import hashlib
import inspect
import operator
import threading
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest

from headgate.store.errors import AlreadyExists, InvalidModel
from headgate.tasks.model_format import load_model, predictor_v1, read_mlmodel, save_model
from tests.tasks.model_format.conftest import Run

LOAD_BY_US = """
from headgate.tasks.model_format import load_model
print(load_model("model").predict({data}))
"""
LOAD_BY_MLFLOW = """
import mlflow.pyfunc
print(mlflow.pyfunc.load_model("model").predict({data}))
"""


def double(inputs: Any) -> Any:
    return [2 * value for value in inputs]


class Threshold:
    def __init__(self, cut: float) -> None:
        self.cut = cut

    def predict(self, inputs: Any) -> Any:
        return [value > self.cut for value in inputs]


class WithParams:
    def predict(self, inputs: Any, params: Any = None) -> Any:
        return [value > (params or {}).get("cut", 0.5) for value in inputs]


class WithContext:
    """As MLflow's PythonModel is written, without its base class."""

    def load_context(self, context: Any) -> None:
        self.loaded = dict(context.artifacts)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        assert context.model_config == {}
        return [self.loaded, model_input, params]


class Callable_:
    def __call__(self, inputs: Any) -> Any:
        return inputs


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        (double, [1, 2], [2, 4]),
        (functools.partial(operator.add, [1]), [2], [1, 2]),
        (sum, [1, 2], 3),
        (Threshold(1.5), [1, 2], [False, True]),
        (WithParams(), [0.2, 0.9], [False, True]),
        (WithContext(), [1], [{}, [1], None]),
        (Callable_(), [1], [1]),
    ],
)
def test_predictors_come_back(model: Any, data: Any, expected: Any, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model", input_example=data)
    assert load_model(tmp_path / "model").predict(data) == expected
    assert type(load_model(tmp_path / "model").get_raw_model()) is type(model)
    # With a signature, MLflow would make a DataFrame of the list before the model gets it.
    save_model(model, tmp_path / "without signature")
    assert mlflow.pyfunc.load_model(str(tmp_path / "without signature")).predict(data) == expected


def test_params_reach_the_predictor(tmp_path: Path) -> None:
    from headgate.tasks.model_format import infer_signature

    save_model(WithParams(), tmp_path / "model", signature=infer_signature(params={"cut": 0.5}))
    assert load_model(tmp_path / "model").predict([0.2, 0.3], {"cut": 0.25}) == [False, True]
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert theirs.predict([0.2, 0.6], params={"cut": 0.1}) == [True, True]
    assert theirs.predict([0.2, 0.6]) == [False, True]


def test_mlflow_enforces_the_signature_of_a_predictor(tmp_path: Path) -> None:
    def area(inputs: pd.DataFrame) -> Any:
        return inputs["width"] * inputs["height"]

    example = pd.DataFrame({"width": [2.0], "height": [3.0]})
    save_model(area, tmp_path / "model", input_example=example)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert list(loaded.predict(example)) == [6.0]
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        loaded.predict(example[["width"]])


def test_what_load_context_makes_is_not_stored(tmp_path: Path) -> None:
    model = WithContext()
    save_model(model, tmp_path / "model", input_example=[1])
    assert not hasattr(model, "loaded")
    assert "loaded" not in vars(predictor_v1.load_pickle(str(tmp_path / "model" / "predictor.pkl")))


def test_a_predictor_of_the_main_script_needs_neither_the_script_nor_headgate(run_python: Run, tmp_path: Path) -> None:
    run_python(
        """
import json
from headgate.tasks.model_format import save_model

class Scorer:
    def predict(self, inputs):
        import colorsys
        return [json.loads("1") + helper(value) for value in inputs]

def helper(value):
    return value * 10

if __name__ == "__main__":
    save_model(Scorer(), "model")
"""
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "model").rename(elsewhere / "model")
    assert run_python(LOAD_BY_US.format(data=[1, 2]), without=("mlflow",), cwd=elsewhere) == "[11, 21]"
    assert run_python(LOAD_BY_MLFLOW.format(data=[1, 2]), without=("headgate",), cwd=elsewhere) == "[11, 21]"


def test_modules_beside_the_script_travel_along(run_python: Run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "package" / "inner").mkdir(parents=True)
    (project / "namespace").mkdir()
    (project / "package" / "__init__.py").write_text("from package.inner.deep import FACTOR\n")
    (project / "package" / "inner" / "__init__.py").write_text("")
    (project / "package" / "inner" / "deep.py").write_text("FACTOR = 3\n")
    (project / "package" / "weights.txt").write_text("4")
    (project / "namespace" / "member.py").write_text("OFFSET = 1\n")
    (project / "lazily.py").write_text("LATE = 100\n")
    (project / "features.py").write_text(
        """
import json
from pathlib import Path
import yaml
import package
from namespace import member
try:
    import something_that_is_not_there
except ImportError:
    pass

class Model:
    def predict(self, inputs):
        import lazily
        weight = int((Path(package.__file__).parent / "weights.txt").read_text())
        return [value * package.FACTOR * weight + member.OFFSET + lazily.LATE for value in inputs]
"""
    )
    run_python(
        "from features import Model\nfrom headgate.tasks.model_format import save_model\n"
        "save_model(Model(), 'model')\n",
        cwd=project,
    )
    shipped = {str(p.relative_to(project / "model" / "code")) for p in (project / "model" / "code").rglob("*.*")}
    assert shipped == {
        "features.py",
        "headgate_predictor_v1.py",
        "lazily.py",
        "namespace/member.py",
        "package/__init__.py",
        "package/inner/__init__.py",
        "package/inner/deep.py",
        "package/weights.txt",
    }
    assert (project / "model" / "requirements.txt").read_text().startswith("PyYAML==")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "model").rename(elsewhere / "model")
    assert run_python(LOAD_BY_US.format(data=[1]), without=("mlflow",), cwd=elsewhere) == "[113]"
    assert run_python(LOAD_BY_MLFLOW.format(data=[1]), without=("headgate",), cwd=elsewhere) == "[113]"


def test_an_estimator_of_the_users_own_travels_with_its_module(run_python: Run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "own.py").write_text(
        """
from sklearn.base import BaseEstimator, ClassifierMixin

class Always(ClassifierMixin, BaseEstimator):
    def __init__(self, answer=1):
        self.answer = answer
    def fit(self, X, y):
        self.classes_ = [0, 1]
        return self
    def predict(self, X):
        return [self.answer for _ in X]
"""
    )
    run_python(
        "from own import Always\nfrom headgate.tasks.model_format import save_model\n"
        "save_model(Always(5).fit([[1]], [1]), 'model')\n",
        cwd=project,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "model").rename(elsewhere / "model")
    assert run_python(LOAD_BY_US.format(data=[[1], [2]]), without=("mlflow",), cwd=elsewhere) == "[5, 5]"
    assert run_python(LOAD_BY_MLFLOW.format(data=[[1], [2]]), without=("headgate",), cwd=elsewhere) == "[5, 5]"


def test_code_paths_are_shipped_and_scanned(tmp_path: Path) -> None:
    (tmp_path / "extra.py").write_text("import yaml\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_text("words")
    (tmp_path / "data" / "__pycache__").mkdir()
    (tmp_path / "data" / "__pycache__" / "x.pyc").write_bytes(b"")
    save_model(sum, tmp_path / "model", code_paths=[tmp_path / "extra.py", str(tmp_path / "data")])
    code = tmp_path / "model" / "code"
    assert sorted(p.name for p in code.iterdir()) == ["data", "extra.py", "headgate_predictor_v1.py"]
    assert [p.name for p in (code / "data").iterdir()] == ["words.txt"]
    assert "PyYAML==" in (tmp_path / "model" / "requirements.txt").read_text()
    with pytest.raises(InvalidModel, match="does not exist"):
        save_model(sum, tmp_path / "second", code_paths=[tmp_path / "nothing.py"])
    (tmp_path / "broken.py").write_text("def")
    with pytest.raises(InvalidModel, match=r"broken\.py"):
        save_model(sum, tmp_path / "second", code_paths=[tmp_path / "broken.py"])
    assert not (tmp_path / "second").exists()


def test_two_models_with_different_modules_of_one_name_are_not_mixed_up(run_python: Run, tmp_path: Path) -> None:
    for number in (1, 2):
        project = tmp_path / f"project{number}"
        project.mkdir()
        (project / "features.py").write_text(f"def predict(inputs):\n    return {number}\n")
        run_python(
            "import features\nfrom headgate.tasks.model_format import save_model\n"
            "save_model(features.predict, 'model')\nsave_model(features.predict, 'same')\n",
            cwd=project,
        )
    printed = run_python(
        """
from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import load_model
print(load_model("project1/model").predict([]), load_model("project1/same").predict([]))
try:
    load_model("project2/model")
except InvalidModel as error:
    print(error.module, error.remedy)
"""
    )
    assert printed.splitlines() == [
        "1 1",
        "features Load the two in processes of their own, or give the modules different names.",
    ]


class Unpicklable:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def predict(self, inputs: Any) -> Any:
        return inputs


class ForecastsOnly:
    def predict(self, start: Any = None, end: Any = None) -> Any:
        return []


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (42, "A builtins.int can't be logged as a model"),
        ({"weights": []}, "A builtins.dict can't be logged"),
        (None, "A builtins.NoneType can't be logged"),
        (Threshold, "is a class, not a model"),
        (ForecastsOnly(), r"it takes \(start: .*end"),
        (lambda: 1, r"it takes \(\)"),
        (lambda a, b: 1, r"it takes \(a, b\)"),
        (lambda inputs, *, scale: 1, r"it takes \(inputs, \*?,? ?scale\)"),
        (Unpicklable(), "can't be pickled"),
    ],
)
def test_what_is_no_model(model: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=words) as caught:
        save_model(model, tmp_path / "model")
    assert caught.value.remedy
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_without_cloudpickle_the_remedy_is_named(run_python: Run) -> None:
    printed = run_python(
        """
from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import save_model
def predict(inputs):
    return inputs
try:
    save_model(predict, "model")
except InvalidModel as error:
    print(error)
""",
        without=("cloudpickle",),
    )
    assert "main script" in printed
    assert "pip install cloudpickle" in printed


def test_a_forced_pickle_of_the_main_script_is_refused(run_python: Run) -> None:
    printed = run_python(
        """
from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import save_model
def predict(inputs):
    return inputs
try:
    save_model(predict, "model", serialization_format="pickle")
except InvalidModel as error:
    print(error)
"""
    )
    assert "serialization_format='cloudpickle'" in printed


def test_an_unknown_serialization_format(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="no serialization format 'onnx'"):
        save_model(sum, tmp_path / "model", serialization_format="onnx")


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save_model(sum, tmp_path / "empty")
    with pytest.raises(AlreadyExists, match="not an empty folder"):
        save_model(sum, tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(AlreadyExists):
        save_model(sum, tmp_path / "file")


def test_metadata_that_yaml_can_not_hold(tmp_path: Path) -> None:
    save_model(sum, tmp_path / "good", metadata={"größe": [1, {"a": None}]})
    assert read_mlmodel(tmp_path / "good").metadata == {"größe": [1, {"a": None}]}
    with pytest.raises(InvalidModel, match="metadata"):
        save_model(sum, tmp_path / "bad", metadata={"model": object()})
    assert not (tmp_path / "bad").exists()


def test_an_example_that_json_can_not_hold(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="can't be written as JSON"):
        save_model(double, tmp_path / "model", input_example=[object()])
    with pytest.raises(InvalidModel, match=r"to_frame\(\)"):
        save_model(double, tmp_path / "model", input_example=pd.Series([1]))


def test_the_loader_that_travels_with_models_never_changes() -> None:
    """Models that were saved with it import it by its name: a changed one would be another module of the same name."""
    source = inspect.getsource(predictor_v1)
    released = "f8cbe2e95b5b83c4adabccc8aa16ea243ea5a6bc59a6093c15ecdfbe0fda16fd"
    assert hashlib.sha256(source.encode()).hexdigest() == released, "leave it as it was, and make a predictor_v2.py"
