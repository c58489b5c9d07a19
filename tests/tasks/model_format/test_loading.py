"""Models that can't be loaded, and models that MLflow wrote."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
import yaml

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import load_model, save_model
from tests.tasks.model_format.conftest import Run, quietly


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="it has no file MLmodel"):
        load_model(tmp_path)
    (tmp_path / "MLmodel").write_text("[")
    with pytest.raises(InvalidModel, match="can't be read"):
        load_model(tmp_path)
    (tmp_path / "MLmodel").write_text("just text")
    with pytest.raises(InvalidModel, match="does not describe a model"):
        load_model(tmp_path)
    (tmp_path / "MLmodel").write_text("{flavors: {}, signature: {inputs: '['}}")
    with pytest.raises(InvalidModel, match=r"The signature in .* can't be read"):
        load_model(tmp_path)
    for flavor, key in (("sklearn", "pickled_model"), ("python_function", "loader_module")):
        (tmp_path / "MLmodel").write_text(f"flavors: {{{flavor}: {{}}}}")
        with pytest.raises(InvalidModel, match=f"does not say '{key}'"):
            load_model(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: {keras: {}}")
    with pytest.raises(InvalidModel, match=r"only the flavors \['keras'\]"):
        load_model(tmp_path)


def test_a_model_that_lost_a_file(tmp_path: Path) -> None:
    save_model(sum, tmp_path / "model")
    (tmp_path / "model" / "predictor.pkl").unlink()
    with pytest.raises(InvalidModel, match="has lost its file"):
        load_model(tmp_path / "model")


def test_an_external_model_has_nothing_to_load(tmp_path: Path) -> None:
    described = {"model_id": "m-9", "flavors": {}, "metadata": {"mlflow.model.isExternal": True}}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(InvalidModel, match="The files of the model m-9 are kept elsewhere"):
        load_model(tmp_path)
    with pytest.raises(mlflow.MlflowException, match="artifacts are external"):
        mlflow.pyfunc.load_model(str(tmp_path))


def _edit(folder: Path, flavor: str, **changes: Any) -> None:
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"][flavor].update(changes)
    (folder / "MLmodel").write_text(yaml.safe_dump(document))


def test_bytecode_of_another_python_is_refused(tmp_path: Path) -> None:
    save_model(lambda inputs: inputs, tmp_path / "model")
    _edit(tmp_path / "model", "python_function", python_version="3.4.1")
    with pytest.raises(InvalidModel, match=r"compiled by Python 3\.4\.1"):
        load_model(tmp_path / "model")
    save_model(sum, tmp_path / "by reference")
    _edit(tmp_path / "by reference", "python_function", python_version="3.4.1")
    assert load_model(tmp_path / "by reference").predict([1]) == 1


def test_a_missing_requirement_is_named(run_python: Run, tmp_path: Path) -> None:
    save_model(yaml.safe_load, tmp_path / "model")
    printed = run_python(
        """
from headgate.store.errors import InvalidModel
import headgate.tasks.model_format.load
sys.modules["yaml.loader"] = sys.modules["yaml"]
real = sys.modules.pop("yaml")
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "yaml":
            raise ModuleNotFoundError("No module named 'yaml'", name="yaml")
sys.meta_path.insert(0, Missing())
try:
    headgate.tasks.model_format.load.load_model("model")
except InvalidModel as error:
    print(error.module, error.remedy)
"""
    )
    assert printed == "yaml Install the model's requirements.txt."


def test_a_python_model_of_mlflow_is_loaded_through_it(run_python: Run, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True):  # MLflow's advice on type hints, which it lets nobody filter

        class Multiplier(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
                return [value * params["by"] for value in model_input["a"]]

    table = pd.DataFrame({"a": [1.5]})
    signature = mlflow.models.infer_signature(table, params={"by": 2})
    quietly(
        mlflow.pyfunc.save_model,
        str(tmp_path / "model"),
        python_model=Multiplier(),
        signature=signature,
        pip_requirements=["mlflow"],
    )
    loaded = quietly(load_model, tmp_path / "model")
    assert loaded.predict(table) == [3.0]
    assert loaded.predict(table, {"by": 3}) == [4.5]
    printed = run_python(
        """
from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import load_model
try:
    load_model("model")
except InvalidModel as error:
    print(error)
""",
        without=("mlflow",),
    )
    assert "headgate[mlflow]" in printed


def test_a_python_model_of_mlflow_is_saved_as_a_predictor(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True):  # MLflow's advice on type hints, which it lets nobody filter

        class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context, model_input):  # type: ignore[no-untyped-def]
                return [value * 2 for value in model_input]

    save_model(Doubler(), tmp_path / "model")
    assert quietly(load_model, tmp_path / "model").predict([1]) == [2]
    assert "mlflow==" in (tmp_path / "model" / "requirements.txt").read_text()


def test_a_model_may_be_copied_and_loaded_again(tmp_path: Path) -> None:
    save_model(sum, tmp_path / "model")
    assert load_model(tmp_path / "model").predict([1]) == 1
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    assert load_model(str(tmp_path / "copy")).predict([1]) == 1
