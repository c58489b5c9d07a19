"""The MLmodel file: what a model is, how to load it, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format.signature import ModelSignature

MLMODEL_FILE = "MLmodel"
EXTERNAL = "mlflow.model.isExternal"
MLFLOW_VERSION = "3.17.2"
"""The version of MLflow whose format is written; MLflow 3.1 and newer read it."""


@dataclass(frozen=True, slots=True)
class MLmodel:
    """The content of an MLmodel file. ``flavors`` says how to load the model, by the name of each way."""

    model_uuid: str
    utc_time_created: str
    flavors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    signature: ModelSignature | None = None
    metadata: Mapping[str, Any] | None = None
    saved_input_example_info: Mapping[str, Any] | None = None
    model_size_bytes: int | None = None
    model_id: str | None = None
    run_id: str | None = None
    artifact_path: str | None = None
    mlflow_version: str | None = MLFLOW_VERSION

    @property
    def is_external(self) -> bool:
        """Whether the model's files are kept elsewhere, so that there is nothing to load."""
        return bool((self.metadata or {}).get(EXTERNAL, False))

    def to_yaml(self) -> str:
        """Return the file's content.

        Raises:
            InvalidModel: the metadata holds something that YAML can't express.
        """
        document = {
            "artifact_path": self.artifact_path,
            "flavors": {name: dict(flavor) for name, flavor in self.flavors.items()},
            "metadata": None if self.metadata is None else dict(self.metadata),
            "mlflow_version": self.mlflow_version,
            "model_id": self.model_id,
            "model_size_bytes": self.model_size_bytes,
            "model_uuid": self.model_uuid,
            "run_id": self.run_id,
            "saved_input_example_info": self.saved_input_example_info,
            "signature": None if self.signature is None else self.signature.to_dict(),
            "utc_time_created": self.utc_time_created,
        }
        present = {key: value for key, value in document.items() if value is not None}
        try:
            return yaml.safe_dump(present, default_flow_style=False, allow_unicode=True)
        except yaml.YAMLError as error:
            raise InvalidModel(
                f"The model's metadata can't be written: {error}.",
                remedy="Use strings, numbers, booleans, lists and dictionaries.",
            ) from error


def utc_text(milliseconds: int) -> str:
    """Return epoch milliseconds as MLflow writes times: UTC without a zone."""
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def read_mlmodel(folder: Path) -> MLmodel:
    """Read the MLmodel file of a model's folder.

    Raises:
        InvalidModel: there is none, or it can't be read.
    """
    file = folder / MLMODEL_FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise InvalidModel(
            f"{str(folder)!r} holds no model: it has no file {MLMODEL_FILE}.",
            remedy="Give the folder of a saved model.",
        ) from error
    return parse_mlmodel(content, repr(str(file)))


def parse_mlmodel(content: bytes, called: str) -> MLmodel:
    """Read the content of an MLmodel file; ``called`` is what errors call it.

    Raises:
        InvalidModel: it can't be read.
    """
    try:
        document = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{called} can't be read: {error}.", remedy="Save the model again.") from error
    if not isinstance(document, dict) or not isinstance(document.get("flavors", {}), dict):
        raise InvalidModel(f"{called} does not describe a model.", remedy="Save the model again.")
    return MLmodel(
        model_uuid=str(document.get("model_uuid", "")),
        utc_time_created=str(document.get("utc_time_created", "")),
        flavors=document.get("flavors", {}),
        signature=_signature(document.get("signature"), called),
        metadata=document.get("metadata"),
        saved_input_example_info=document.get("saved_input_example_info"),
        model_size_bytes=document.get("model_size_bytes"),
        model_id=document.get("model_id"),
        run_id=document.get("run_id"),
        artifact_path=document.get("artifact_path"),
        mlflow_version=document.get("mlflow_version"),
    )


def _signature(parts: Any, called: str) -> ModelSignature | None:
    if not parts:
        return None
    try:
        return ModelSignature.from_dict(parts)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidModel(f"The signature in {called} can't be read: {error}.", remedy="Save it again.") from error
