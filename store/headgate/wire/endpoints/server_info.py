"""Whether the server lives, and what it is."""

from __future__ import annotations

from typing import Any

from headgate.wire.call import Call
from headgate.wire.principal import Role
from headgate.wire.routes import Routes

routes = Routes()

# What MLflow's client takes the server for: it asks which features it may use (traces over OTLP from 3.4 on).
MLFLOW_VERSION = "3.17.2"


@routes.get("/health", role=Role.NOBODY, kind="text")
def health(_: Call) -> str:
    return "OK"


@routes.get("/version", role=Role.NOBODY, kind="text")
def version(_: Call) -> str:
    return MLFLOW_VERSION


@routes.get("/api/3.0/mlflow/server-info", role=Role.READ)
def server_info(call: Call) -> dict[str, Any]:
    """Answer what MLflow's clients ask: before a large upload or download, whether parts may go to S3 directly."""
    direct = call.store.artifact_root.startswith("s3:")
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": direct,
        "multipart_downloads_enabled": direct,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "features_enabled": {"gateway": False},
    }
