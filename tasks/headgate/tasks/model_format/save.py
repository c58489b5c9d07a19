"""Writing a model in MLflow's format."""

from __future__ import annotations

import copy
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from headgate.store.clock import now_ms
from headgate.store.errors import AlreadyExists, InvalidModel
from headgate.tasks.model_format import predictor_v1
from headgate.tasks.model_format.code import copy_code, gather_code
from headgate.tasks.model_format.distributions import pinned
from headgate.tasks.model_format.environment import environment_files
from headgate.tasks.model_format.example import EXAMPLE_FILE, SERVING_FILE, InputExample, example_of
from headgate.tasks.model_format.flavors import CODE_FOLDER, PREDICTOR_LOADER, Kind, flavors_of, kind_of
from headgate.tasks.model_format.mlmodel import MLMODEL_FILE, MLmodel, read_mlmodel, utc_text
from headgate.tasks.model_format.pickling import write_pickle
from headgate.tasks.model_format.schema import is_a
from headgate.tasks.model_format.signature import ModelSignature, infer_signature, signature_of_prediction


@dataclass(frozen=True, slots=True)
class Identity:
    """Which LoggedModel a model's files belong to, for their MLmodel file.

    Args:
        model_id: the LoggedModel's id; None for files that belong to none.
        run_id: the run that made the model.
        artifact_path: the URI where the files will be kept.
        now: when the model was made, epoch ms; None takes the clock.
    """

    model_id: str | None = None
    run_id: str | None = None
    artifact_path: str | None = None
    now: int | None = None


def save_model(
    model: Any,
    path: str | Path,
    *,
    signature: ModelSignature | Literal[False] | None = None,
    input_example: Any = None,
    requirements: Sequence[str] | None = None,
    code_paths: Sequence[str | Path] = (),
    metadata: Mapping[str, Any] | None = None,
    serialization_format: str | None = None,
    identity: Identity | None = None,
) -> MLmodel:
    """Write a model to a folder, so that :func:`load_model` and ``mlflow.pyfunc.load_model`` load it.

    Args:
        model: a scikit-learn estimator; or a plain predictor: a function ``f(inputs)``, or an object with
            ``predict(inputs)`` or ``predict(context, inputs)``; each may also take ``params``.
        path: the folder, which must not exist or be empty.
        signature: what the model takes and gives, ours or MLflow's; None infers it from ``input_example`` and what the
            model predicts for it; False leaves it out.
        input_example: a few rows of input: a DataFrame, an array, a list, a dictionary. It is stored as given, so it
            should hold no secrets.
        requirements: lines of a requirements.txt; None takes the packages that the model imports, at the versions
            installed here.
        code_paths: files and folders to ship beside the model. Modules of the user's own that the model imports are
            shipped by themselves.
        metadata: anything that YAML can hold, for the MLmodel file.
        serialization_format: ``pickle`` or ``cloudpickle``; None takes the first where it is enough.
        identity: the LoggedModel and run that the files belong to.

    Returns:
        What the MLmodel file says.

    Raises:
        InvalidModel: the model's type is not supported, it can't be pickled, or it fails on its own input example.
        AlreadyExists: ``path`` is not empty.

    Nothing is left behind after an error. A pickle runs code when it is loaded: load only models that you trust.
    """
    kind = kind_of(model)
    example = None if input_example is None else example_of(input_example)
    target = _free(Path(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        pickled = write_pickle(model, draft / kind, serialization_format)
        known = _known_signature(signature)
        if signature is None and input_example is not None:
            known = _inferred_signature(input_example, _predict_function(model, kind, draft / kind))
        code = gather_code(pickled.modules, code_paths)
        copy_code(code, draft / CODE_FOLDER)
        if kind is Kind.PREDICTOR:
            _copy_loader(draft / CODE_FOLDER)
        lines = pinned(code.modules | _beside(kind, input_example)) if requirements is None else requirements
        _write_texts(draft, {**environment_files(lines), **_example_files(example)})
        described = replace(
            _identified(identity or Identity()),
            flavors=flavors_of(model, kind, pickled, has_code=(draft / CODE_FOLDER).exists()),
            signature=known,
            metadata=metadata,
            saved_input_example_info=None if example is None else example.info,
            model_size_bytes=sum(file.stat().st_size for file in draft.rglob("*") if file.is_file()),
        )
        _write_texts(draft, {MLMODEL_FILE: described.to_yaml()})
        draft.chmod(0o755)  # mkdtemp lets only this user in
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft)
        raise
    return described


def give_identity(folder: Path, identity: Identity) -> MLmodel:
    """Say in the MLmodel file of a saved model which LoggedModel it belongs to; return what the file says now.

    Raises:
        InvalidModel: the folder holds no model.
    """
    described = read_mlmodel(folder)
    known = _identified(identity)
    names = ("model_uuid", "model_id", "run_id", "artifact_path", "utc_time_created")
    described = replace(described, **{name: getattr(known, name) for name in names})
    _write_texts(folder, {MLMODEL_FILE: described.to_yaml()})
    return described


def _free(path: Path) -> Path:
    if (path.exists() or path.is_symlink()) and not (path.is_dir() and not any(path.iterdir())):
        raise AlreadyExists(
            f"{str(path)!r} exists and is not an empty folder.",
            remedy="Choose another folder, or empty this one.",
            kind="folder",
            key=str(path),
        )
    return path


def _known_signature(said: Any) -> ModelSignature | None:
    if said is None or said is False:
        return None
    if isinstance(said, ModelSignature):
        return said
    if not callable(getattr(said, "to_dict", None)):
        raise InvalidModel(
            f"A {type(said).__name__} is no signature.", remedy="Give what infer_signature(inputs, outputs) returns."
        )
    return ModelSignature.from_dict(said.to_dict())


def _predict_function(model: Any, kind: Kind, pickle_file: Path) -> Callable[[Any], Any] | None:
    """Return what predicts; None for an estimator that only transforms.

    A predictor is loaded back first: its ``load_context`` may change it, and what is stored is tried.
    """
    if kind is Kind.PREDICTOR:
        predict: Callable[[Any], Any] = predictor_v1._load_pyfunc(str(pickle_file)).predict
        return predict
    return getattr(model, "predict", None)


def _inferred_signature(example: Any, predict: Callable[[Any], Any] | None) -> ModelSignature:
    if predict is None:
        return infer_signature(example)
    try:
        return signature_of_prediction(example, predict(copy.deepcopy(example)))
    except Exception as error:
        raise InvalidModel(
            f"The model can't predict its own input example: {type(error).__name__}: {error}",
            remedy="Give an example that it can, or leave input_example out.",
        ) from error


def _beside(kind: Kind, example: Any) -> frozenset[str]:
    """Return what the model needs beyond what its pickle names: its library, and the type of its inputs."""
    needed = {
        "sklearn": kind is Kind.ESTIMATOR,
        "pandas": is_a(example, "pandas", "DataFrame"),
        "numpy": is_a(example, "numpy", "ndarray"),
    }
    return frozenset(name for name, is_needed in needed.items() if is_needed)


def _copy_loader(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(str(predictor_v1.__file__), folder / f"{PREDICTOR_LOADER}.py")


def _example_files(example: InputExample | None) -> dict[str, str]:
    return {} if example is None else {EXAMPLE_FILE: example.example, SERVING_FILE: example.serving}


def _write_texts(folder: Path, contents: Mapping[str, str]) -> None:
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")


def _identified(identity: Identity) -> MLmodel:
    return MLmodel(
        model_uuid=identity.model_id or uuid.uuid4().hex,
        utc_time_created=utc_text(now_ms() if identity.now is None else identity.now),
        model_id=identity.model_id,
        run_id=identity.run_id,
        artifact_path=identity.artifact_path,
    )
