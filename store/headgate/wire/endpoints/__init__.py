"""The endpoints, a module per subject as the store has them. Each module collects its routes in ``routes``.

Room is left for traces, assessments, prompts, datasets and scorers: each becomes a module here and a line below.
"""

from __future__ import annotations

from itertools import chain

from headgate.wire.routes import Route


def all_routes() -> tuple[Route, ...]:
    """Return every route that the application answers."""
    from headgate.wire.endpoints import (
        artifact_transfers,
        artifacts,
        experiments,
        logged_models,
        metrics,
        model_versions,
        registered_models,
        runs,
        server_info,
    )

    modules = (
        server_info,
        experiments,
        runs,
        metrics,
        logged_models,
        registered_models,
        model_versions,
        artifact_transfers,
        artifacts,
    )
    return tuple(chain.from_iterable(module.routes for module in modules))
