"""Ids of the tasks that a pipeline's DAG has beside its steps; light enough for the listener.

No step's name has a dot, so these never meet a step's.
"""

from __future__ import annotations

OPEN_TASK = "pipeline.open"
CLOSE_TASK = "pipeline.close"
