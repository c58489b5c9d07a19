"""scikit-learn estimators, saved by us and loaded by us and by MLflow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import sklearn
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from headgate.store.errors import InvalidInput, InvalidModel
from headgate.tasks.model_format import Identity, give_identity, load_model, read_mlmodel, save_model
from tests.tasks.model_format.conftest import Run, quietly


def test_an_estimator_comes_back_in_all_three_ways(estimator: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    save_model(estimator, tmp_path / "model", input_example=table.head(2))
    expected = estimator.predict(table)

    ours = load_model(tmp_path / "model")
    assert (ours.predict(table) == expected).all()
    assert np.allclose(ours.get_raw_model().predict_proba(table), estimator.predict_proba(table))
    assert (mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(table) == expected).all()
    assert (mlflow.sklearn.load_model(str(tmp_path / "model")).predict(table) == expected).all()


def test_the_files_say_what_mlflow_says(estimator: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    theirs = mlflow.models.Model()
    quietly(
        mlflow.sklearn.save_model,
        estimator,
        str(tmp_path / "theirs"),
        mlflow_model=theirs,
        input_example=table.head(2),
        serialization_format="pickle",
        metadata={"team": "screening"},
        pip_requirements=["scikit-learn==1.0"],
    )
    save_model(
        estimator,
        tmp_path / "ours",
        input_example=table.head(2),
        metadata={"team": "screening"},
        requirements=["scikit-learn==1.0"],
    )

    def document(name: str) -> dict[str, Any]:
        content = yaml.safe_load((tmp_path / name / "MLmodel").read_text())
        content["signature"] = {k: v and json.loads(v) for k, v in content["signature"].items()}
        return {key: value for key, value in content.items() if value is not None}

    made, expected = document("ours"), document("theirs")
    own_to_each = {"model_uuid", "utc_time_created", "model_size_bytes"}
    # Words that MLflow writes with the value they have when they are left out.
    defaults = {"is_signature_from_type_hint": False, "type_hint_from_example": False}
    assert {k: v for k, v in expected.items() if k not in own_to_each} == {
        **{k: v for k, v in made.items() if k not in own_to_each},
        **defaults,
        "flavors": {
            **made["flavors"],
            "sklearn": {**made["flavors"]["sklearn"], "skops_trusted_types": None},
        },
    }
    assert made["mlflow_version"] == mlflow.__version__, "the format is that of the MLflow that the tests run against"
    for file in ("input_example.json", "serving_input_example.json", "requirements.txt", "python_env.yaml"):
        assert _read(tmp_path / "ours" / file) == _read(tmp_path / "theirs" / file)
    ours_conda, their_conda = _read(tmp_path / "ours/conda.yaml"), _read(tmp_path / "theirs/conda.yaml")
    assert ours_conda["dependencies"][0] == their_conda["dependencies"][0]
    assert ours_conda["dependencies"][-1]["pip"] == ["scikit-learn==1.0"]


def _read(file: Path) -> Any:
    text = file.read_text()
    if file.suffix == ".txt":
        return [line for line in text.splitlines() if not line.startswith("mlflow")]
    return yaml.safe_load(text)


def test_the_identity_is_in_the_file(estimator: Any, tmp_path: Path) -> None:
    identity = Identity(
        model_id="m-1", run_id="r1", artifact_path="s3://b/1/models/m-1/artifacts", now=1_700_000_000_123
    )
    written = save_model(estimator, tmp_path / "model", identity=identity)
    assert read_mlmodel(tmp_path / "model") == written
    theirs = mlflow.models.Model.load(str(tmp_path / "model"))
    assert (theirs.model_id, theirs.run_id, theirs.model_uuid) == ("m-1", "r1", "m-1")
    assert theirs.utc_time_created == "2023-11-14 22:13:20.123000"
    assert theirs.signature is None
    given = give_identity(tmp_path / "model", Identity(model_id="m-2", now=0))
    assert read_mlmodel(tmp_path / "model") == given
    assert given == replace(
        written,
        model_id="m-2",
        model_uuid="m-2",
        run_id=None,
        artifact_path=None,
        utc_time_created="1970-01-01 00:00:00.000000",
    )


def test_requirements_are_what_the_model_uses_at_installed_versions(
    estimator: Any, table: pd.DataFrame, tmp_path: Path
) -> None:
    save_model(estimator, tmp_path / "with example", input_example=table.head(1))
    lines = (tmp_path / "with example" / "requirements.txt").read_text().splitlines()
    assert f"scikit-learn=={sklearn.__version__}" in lines
    assert f"pandas=={pd.__version__}" in lines
    assert {line.split("==")[0] for line in lines} <= {"scikit-learn", "pandas", "numpy", "scipy"}
    save_model(estimator, tmp_path / "said", requirements=["scikit-learn>=1.6", "numpy"])
    assert (tmp_path / "said" / "requirements.txt").read_text() == "scikit-learn>=1.6\nnumpy\n"
    save_model(estimator, tmp_path / "none", requirements=[])
    assert yaml.safe_load((tmp_path / "none" / "conda.yaml").read_text())["dependencies"][-1] == "pip"


@pytest.mark.parametrize("requirements", ["scikit-learn", ["a\nb"], [""], [1]])
def test_requirements_that_are_none(estimator: Any, tmp_path: Path, requirements: Any) -> None:
    with pytest.raises(InvalidModel, match="requirement"):
        save_model(estimator, tmp_path / "model", requirements=requirements)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_examples_too(table: pd.DataFrame, target: pd.Series, tmp_path: Path) -> None:
    model = LogisticRegression().fit(table.to_numpy(), target)
    rows = table.to_numpy()[:2].copy()
    save_model(model, tmp_path / "model", input_example=rows)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert np.array_equal(loaded.input_example, rows)
    assert (loaded.predict(rows) == model.predict(rows)).all()


def test_functions_without_a_module_are_carried_by_value(
    table: pd.DataFrame, target: pd.Series, tmp_path: Path
) -> None:
    model = make_pipeline(FunctionTransformer(lambda x: np.log1p(x)), LogisticRegression()).fit(table, target)
    save_model(model, tmp_path / "model")
    flavor = read_mlmodel(tmp_path / "model").flavors["sklearn"]
    assert flavor["serialization_format"] == "cloudpickle"
    assert "cloudpickle==" in (tmp_path / "model" / "requirements.txt").read_text()
    assert (load_model(tmp_path / "model").predict(table) == model.predict(table)).all()
    assert (mlflow.sklearn.load_model(str(tmp_path / "model")).predict(table) == model.predict(table)).all()
    with pytest.raises(InvalidModel, match="can't be pickled"):
        save_model(model, tmp_path / "second", serialization_format="pickle")
    assert not (tmp_path / "second").exists()


def test_a_transformer_has_inputs_and_no_predict(table: pd.DataFrame, tmp_path: Path) -> None:
    scaler = StandardScaler().fit(table)
    written = save_model(scaler, tmp_path / "model", input_example=table.head(1))
    assert list(written.flavors) == ["sklearn"]
    assert written.signature is not None
    assert written.signature.outputs is None
    loaded = load_model(tmp_path / "model")
    assert np.allclose(loaded.get_raw_model().transform(table), scaler.transform(table))
    with pytest.raises(InvalidInput, match="StandardScaler has no predict"):
        loaded.predict(table)


def test_params_are_not_an_estimators(estimator: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    save_model(estimator, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.signature is None
    assert len(loaded.predict(table, params={})) == 60
    with pytest.raises(InvalidInput, match="takes no params"):
        loaded.predict(table, params={"threshold": 0.5})


def test_a_model_of_another_shape_than_its_example_is_not_written(estimator: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="can't predict its own input example: ValueError"):
        save_model(estimator, tmp_path / "model", input_example=pd.DataFrame({"other": [1.0]}))
    assert list(tmp_path.iterdir()) == []


def test_mlflow_is_not_needed_to_save_or_load(run_python: Run, tmp_path: Path) -> None:
    run_python(
        """
import numpy
from sklearn.dummy import DummyClassifier
from headgate.tasks.model_format import load_model, save_model
model = DummyClassifier(strategy="constant", constant=7).fit([[0]], [7])
save_model(model, "model", input_example=numpy.array([[1], [2]]))
assert list(load_model("model").predict([[0], [1]])) == [7, 7]
assert not any(name.startswith("mlflow") for name in sys.modules if sys.modules[name] is not None)
""",
        without=("mlflow",),
    )
    assert list(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(np.array([[0]]))) == [7]


def test_models_that_mlflow_wrote_are_loaded(estimator: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    for written_as in ("skops", "pickle", "cloudpickle"):
        folder = str(tmp_path / written_as)
        mlflow.sklearn.save_model(estimator, folder, serialization_format=written_as, pip_requirements=["scikit-learn"])
        loaded = load_model(tmp_path / written_as)
        assert (loaded.predict(table) == estimator.predict(table)).all()
        assert type(loaded.get_raw_model()) is type(estimator)


def test_signatures_of_mlflow_are_taken(estimator: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    theirs = mlflow.models.infer_signature(table)
    written = save_model(estimator, tmp_path / "model", signature=theirs)
    assert mlflow.models.Model.load(str(tmp_path / "model")).signature == theirs
    assert written.signature is not None
    left_out = save_model(estimator, tmp_path / "without", signature=False, input_example=table.head(1))
    assert left_out.signature is None
    with pytest.raises(InvalidModel, match="A dict is no signature"):
        save_model(estimator, tmp_path / "bad", signature={"inputs": "[]"})  # type: ignore[arg-type]
