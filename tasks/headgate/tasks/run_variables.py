"""The environment in which the code of a run finds its run: variables for scripts, threads and child processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.store.entities import RunInfo
    from headgate.store.store import Store


def run_variables(store: Store, info: RunInfo) -> dict[str, str]:
    """Return what a script finds in its environment; :mod:`headgate.tasks.tracking` attaches to the run by it.

    The store's URL and the key of S3 are among them: for environments, never for display. The code of a project is
    given the run's endpoint in place of the URL.
    """
    settings = store.settings
    secret = settings.s3_secret_access_key
    s3 = {
        "HEADGATE_S3_ENDPOINT_URL": settings.s3_endpoint_url,
        "HEADGATE_S3_ACCESS_KEY_ID": settings.s3_access_key_id,
        "HEADGATE_S3_SECRET_ACCESS_KEY": None if secret is None else secret.get_secret_value(),
    }
    return {
        "HEADGATE_STORE_URL": store.url,
        "HEADGATE_ARTIFACT_ROOT": store.artifact_root,
        "HEADGATE_WORKSPACE": store.workspace,
        "HEADGATE_RUN_ID": info.run_id,
        "HEADGATE_EXPERIMENT_ID": info.experiment_id,
        "MLFLOW_RUN_ID": info.run_id,
        "MLFLOW_EXPERIMENT_ID": info.experiment_id,
        **{name: value for name, value in s3.items() if value is not None},
    }
