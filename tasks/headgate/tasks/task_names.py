"""Names of tasks that belong to another task; light enough for what only draws a graph."""

from __future__ import annotations

CHAMPION_SUFFIX = ".champion"
"""Behind the name of the evaluating task or step: the task that measures the champion."""

CHOOSE_SUFFIX = ".choose"
"""Behind the name of a step that sweeps: the task that chooses which run goes on."""

PROMOTION = "promotion"
"""Before ``.gate``, ``.approve`` and ``.promote``: the tasks of a pipeline's promotion. No step's name has a dot."""
