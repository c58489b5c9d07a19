"""An auth manager whose users may read some DAGs only, as Airflow's big ones can say."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser


class DagByDagAuthManager(SimpleAuthManager):
    """A user called ``dags:a,b`` may read the DAGs ``a`` and ``b`` and no other; one called ``no assets`` no assets."""

    def is_authorized_dag(
        self, *, method: Any, user: SimpleAuthManagerUser, access_entity: Any = None, details: Any = None
    ) -> bool:
        if user.username.startswith("dags:"):
            dags = user.username.removeprefix("dags:").split(",")
            return method == "GET" and details is not None and details.id in dags
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)

    def is_authorized_asset(self, *, method: Any, user: SimpleAuthManagerUser, details: Any = None) -> bool:
        if user.username == "no assets":
            return False
        return super().is_authorized_asset(method=method, user=user, details=details)
