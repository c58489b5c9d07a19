"""What a script logs with, in MLflow's words: ``from headgate.tasks import tracking``.

In a script that ``headgate run`` or an orchestrator started, everything goes to the run that was opened for it
(``HEADGATE_RUN_ID``). Elsewhere ``start_run`` makes one in the store that ``HEADGATE_STORE_URL`` names, and logging
without it starts one that ends with the process. Everything is written at once; nothing waits in a buffer. Threads and
asyncio tasks may share it.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "ActiveModel": ".active_model",
    "ActiveRun": ".active_runs",
    "LoadedModel": "headgate.tasks.model_format.load",
    "ModelSignature": "headgate.tasks.model_format.signature",
    "active_run": ".active_runs",
    "clear_active_model": ".active_model",
    "create_external_model": ".models",
    "dataset": ".data",
    "end_run": ".runs",
    "get_active_model_id": ".active_model",
    "get_artifact_uri": ".log",
    "get_logged_model": ".models",
    "git_version_name": ".source",
    "infer_signature": "headgate.tasks.model_format.signature",
    "load_model": ".models",
    "log_artifact": ".log",
    "log_artifacts": ".log",
    "log_dict": ".log",
    "log_input": ".log",
    "log_metric": ".log",
    "log_metrics": ".log",
    "log_model": ".models",
    "log_param": ".log",
    "log_params": ".log",
    "log_text": ".log",
    "set_active_model": ".active_model",
    "set_experiment": ".session",
    "set_store": ".session",
    "set_tag": ".log",
    "set_tags": ".log",
    "start_run": ".runs",
}

if TYPE_CHECKING:
    from headgate.tasks.model_format.load import LoadedModel as LoadedModel
    from headgate.tasks.model_format.signature import ModelSignature as ModelSignature
    from headgate.tasks.model_format.signature import infer_signature as infer_signature
    from headgate.tasks.tracking.active_model import ActiveModel as ActiveModel
    from headgate.tasks.tracking.active_model import clear_active_model as clear_active_model
    from headgate.tasks.tracking.active_model import get_active_model_id as get_active_model_id
    from headgate.tasks.tracking.active_model import set_active_model as set_active_model
    from headgate.tasks.tracking.active_runs import ActiveRun as ActiveRun
    from headgate.tasks.tracking.active_runs import active_run as active_run
    from headgate.tasks.tracking.data import dataset as dataset
    from headgate.tasks.tracking.log import get_artifact_uri as get_artifact_uri
    from headgate.tasks.tracking.log import log_artifact as log_artifact
    from headgate.tasks.tracking.log import log_artifacts as log_artifacts
    from headgate.tasks.tracking.log import log_dict as log_dict
    from headgate.tasks.tracking.log import log_input as log_input
    from headgate.tasks.tracking.log import log_metric as log_metric
    from headgate.tasks.tracking.log import log_metrics as log_metrics
    from headgate.tasks.tracking.log import log_param as log_param
    from headgate.tasks.tracking.log import log_params as log_params
    from headgate.tasks.tracking.log import log_text as log_text
    from headgate.tasks.tracking.log import set_tag as set_tag
    from headgate.tasks.tracking.log import set_tags as set_tags
    from headgate.tasks.tracking.models import create_external_model as create_external_model
    from headgate.tasks.tracking.models import get_logged_model as get_logged_model
    from headgate.tasks.tracking.models import load_model as load_model
    from headgate.tasks.tracking.models import log_model as log_model
    from headgate.tasks.tracking.runs import end_run as end_run
    from headgate.tasks.tracking.runs import start_run as start_run
    from headgate.tasks.tracking.session import set_experiment as set_experiment
    from headgate.tasks.tracking.session import set_store as set_store
    from headgate.tasks.tracking.source import git_version_name as git_version_name

__all__ = [
    "ActiveModel",
    "ActiveRun",
    "LoadedModel",
    "ModelSignature",
    "active_run",
    "clear_active_model",
    "create_external_model",
    "dataset",
    "end_run",
    "get_active_model_id",
    "get_artifact_uri",
    "get_logged_model",
    "git_version_name",
    "infer_signature",
    "load_model",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_text",
    "set_active_model",
    "set_experiment",
    "set_store",
    "set_tag",
    "set_tags",
    "start_run",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
