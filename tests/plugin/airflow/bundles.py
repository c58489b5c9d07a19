"""A bundle of DAG files that knows versions, as a git repository's does: a folder for each, without a ``.git``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle


class FolderPerVersion(BaseDagBundle):
    """Has the folders of its versions below one.

    Args:
        folder: where they are.
    """

    supports_versioning = True

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = Path(folder)

    @property
    def path(self) -> Path:
        return self.folder / str(self.version or self.get_current_version())

    def get_current_version(self) -> str:
        return max(found.name for found in self.folder.iterdir())

    def refresh(self) -> None:
        """There is nothing to fetch."""
