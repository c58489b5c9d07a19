"""Flows of pipeline files, by path: what the entrypoint of a deployment names when there is no code but a pipeline.

::

    headgate.prefect.pipelines.tumor-screening?on_reject=skip

``headgate prefect deploy`` writes such entrypoints; a ``prefect.yaml`` may. A relative path starts from the working
directory, which the pull steps of a deployment set. How the name is read says :mod:`headgate.prefect.pipeline.placing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.prefect.pipeline.flow import PipelineFlow


def __getattr__(name: str) -> PipelineFlow:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headgate.prefect.pipeline.flow import described_flow

    return described_flow(name)
