"""Headgate for Prefect: tasks that run, measure, decide and promote, for the flows that you have.

It is imported with every ``import prefect``, so the names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "HeadgateStore": ".block",
    "approve_promotion": ".tasks.approve_promotion",
    "dataset_asset": ".assets",
    "decide_gate": ".tasks.decide_gate",
    "evaluate_model": ".tasks.evaluate_model",
    "gated_flow": ".rejection",
    "materializing": ".assets",
    "measure_model": ".tasks.measure_model",
    "model_asset": ".assets",
    "open_store_of": ".store_access",
    "pipeline_flow": ".pipeline.flow",
    "process_scope": ".processes",
    "promote_model": ".tasks.promote_model",
    "promoted": ".triggers",
    "publish_lineage": ".tasks.publish_lineage",
    "reap_runs": ".tasks.reap_runs",
    "register_model": ".tasks.register_model",
    "rejected": ".triggers",
    "retry_infrastructure": ".retries",
    "roll_back_model": ".tasks.roll_back_model",
    "run_project": ".tasks.run_project",
    "settle_flow_run": ".hooks",
    "settle_flow_run_in": ".hooks",
    "tell_promotions": ".tasks.tell_promotions",
    "tracked": ".tracked",
    "validate_data": ".tasks.validate_data",
    "watch_model": ".tasks.watch_model",
}

if TYPE_CHECKING:
    from headgate.prefect.assets import dataset_asset as dataset_asset
    from headgate.prefect.assets import materializing as materializing
    from headgate.prefect.assets import model_asset as model_asset
    from headgate.prefect.block import HeadgateStore as HeadgateStore
    from headgate.prefect.hooks import settle_flow_run as settle_flow_run
    from headgate.prefect.hooks import settle_flow_run_in as settle_flow_run_in
    from headgate.prefect.pipeline.flow import pipeline_flow as pipeline_flow
    from headgate.prefect.processes import process_scope as process_scope
    from headgate.prefect.rejection import gated_flow as gated_flow
    from headgate.prefect.retries import retry_infrastructure as retry_infrastructure
    from headgate.prefect.store_access import open_store_of as open_store_of
    from headgate.prefect.tasks.approve_promotion import approve_promotion as approve_promotion
    from headgate.prefect.tasks.decide_gate import decide_gate as decide_gate
    from headgate.prefect.tasks.evaluate_model import evaluate_model as evaluate_model
    from headgate.prefect.tasks.measure_model import measure_model as measure_model
    from headgate.prefect.tasks.promote_model import promote_model as promote_model
    from headgate.prefect.tasks.publish_lineage import publish_lineage as publish_lineage
    from headgate.prefect.tasks.reap_runs import reap_runs as reap_runs
    from headgate.prefect.tasks.register_model import register_model as register_model
    from headgate.prefect.tasks.roll_back_model import roll_back_model as roll_back_model
    from headgate.prefect.tasks.run_project import run_project as run_project
    from headgate.prefect.tasks.tell_promotions import tell_promotions as tell_promotions
    from headgate.prefect.tasks.validate_data import validate_data as validate_data
    from headgate.prefect.tasks.watch_model import watch_model as watch_model
    from headgate.prefect.tracked import tracked as tracked
    from headgate.prefect.triggers import promoted as promoted
    from headgate.prefect.triggers import rejected as rejected

__all__ = [
    "HeadgateStore",
    "approve_promotion",
    "dataset_asset",
    "decide_gate",
    "evaluate_model",
    "gated_flow",
    "materializing",
    "measure_model",
    "model_asset",
    "open_store_of",
    "pipeline_flow",
    "process_scope",
    "promote_model",
    "promoted",
    "publish_lineage",
    "reap_runs",
    "register_model",
    "rejected",
    "retry_infrastructure",
    "roll_back_model",
    "run_project",
    "settle_flow_run",
    "settle_flow_run_in",
    "tell_promotions",
    "tracked",
    "validate_data",
    "watch_model",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
