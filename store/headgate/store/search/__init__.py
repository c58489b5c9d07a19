"""Searches in MLflow's filter language: one grammar, one translation to SQL, pages by key.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "DatasetFilter": ".logged_models",
    "LoggedModelOrder": ".logged_models",
    "search_experiments": ".experiments",
    "search_logged_models": ".logged_models",
    "search_model_versions": ".registry",
    "search_registered_models": ".registry",
    "search_runs": ".runs",
}

if TYPE_CHECKING:
    from headgate.store.search.experiments import search_experiments as search_experiments
    from headgate.store.search.logged_models import DatasetFilter as DatasetFilter
    from headgate.store.search.logged_models import LoggedModelOrder as LoggedModelOrder
    from headgate.store.search.logged_models import search_logged_models as search_logged_models
    from headgate.store.search.registry import search_model_versions as search_model_versions
    from headgate.store.search.registry import search_registered_models as search_registered_models
    from headgate.store.search.runs import search_runs as search_runs

__all__ = [
    "DatasetFilter",
    "LoggedModelOrder",
    "search_experiments",
    "search_logged_models",
    "search_model_versions",
    "search_registered_models",
    "search_runs",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
