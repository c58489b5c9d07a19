"""MLflow's model format, written and read without mlflow.

``save_model`` writes scikit-learn estimators and plain Python predictors so that ``mlflow.pyfunc.load_model`` and
``mlflow.sklearn.load_model`` load them too. The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "Identity": ".save",
    "LoadedModel": ".load",
    "MLmodel": ".mlmodel",
    "ModelSignature": ".signature",
    "give_identity": ".save",
    "infer_signature": ".signature",
    "load_model": ".load",
    "read_mlmodel": ".mlmodel",
    "save_model": ".save",
}

if TYPE_CHECKING:
    from headgate.tasks.model_format.load import LoadedModel as LoadedModel
    from headgate.tasks.model_format.load import load_model as load_model
    from headgate.tasks.model_format.mlmodel import MLmodel as MLmodel
    from headgate.tasks.model_format.mlmodel import read_mlmodel as read_mlmodel
    from headgate.tasks.model_format.save import Identity as Identity
    from headgate.tasks.model_format.save import give_identity as give_identity
    from headgate.tasks.model_format.save import save_model as save_model
    from headgate.tasks.model_format.signature import ModelSignature as ModelSignature
    from headgate.tasks.model_format.signature import infer_signature as infer_signature

__all__ = [
    "Identity",
    "LoadedModel",
    "MLmodel",
    "ModelSignature",
    "give_identity",
    "infer_signature",
    "load_model",
    "read_mlmodel",
    "save_model",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
