"""Headgate for Airflow: operators, DAGs from projects, assets, and a view of what stands in production and why.

The names below load on first use, so that a plugin or a DAG file pays only for what it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "ApprovePromotionOperator": ".operators.approve_promotion",
    "EvaluateModelOperator": ".operators.evaluate_model",
    "GateOperator": ".operators.gate",
    "HeadgateHook": ".hook",
    "HeadgateOperator": ".operators.base",
    "PipelineDag": ".pipeline.dag",
    "PipelineTaskGroup": ".pipeline.task_group",
    "PromoteModelOperator": ".operators.promote_model",
    "PromotedModel": ".promoted",
    "PromotionTrigger": ".triggers",
    "ReapRunsOperator": ".operators.reap",
    "RegisterModelOperator": ".operators.register_model",
    "RollBackModelOperator": ".operators.roll_back_model",
    "RunProjectOperator": ".operators.run_project",
    "ValidateDataOperator": ".operators.validate_data",
    "WatchModelOperator": ".operators.watch_model",
    "dataset_asset": ".assets",
    "model_asset": ".assets",
    "promoted_model": ".promoted",
    "promoted_models": ".promoted",
    "tracked": ".tracked",
}

if TYPE_CHECKING:
    from headgate.airflow.assets import dataset_asset as dataset_asset
    from headgate.airflow.assets import model_asset as model_asset
    from headgate.airflow.hook import HeadgateHook as HeadgateHook
    from headgate.airflow.operators.approve_promotion import ApprovePromotionOperator as ApprovePromotionOperator
    from headgate.airflow.operators.base import HeadgateOperator as HeadgateOperator
    from headgate.airflow.operators.evaluate_model import EvaluateModelOperator as EvaluateModelOperator
    from headgate.airflow.operators.gate import GateOperator as GateOperator
    from headgate.airflow.operators.promote_model import PromoteModelOperator as PromoteModelOperator
    from headgate.airflow.operators.reap import ReapRunsOperator as ReapRunsOperator
    from headgate.airflow.operators.register_model import RegisterModelOperator as RegisterModelOperator
    from headgate.airflow.operators.roll_back_model import RollBackModelOperator as RollBackModelOperator
    from headgate.airflow.operators.run_project import RunProjectOperator as RunProjectOperator
    from headgate.airflow.operators.validate_data import ValidateDataOperator as ValidateDataOperator
    from headgate.airflow.operators.watch_model import WatchModelOperator as WatchModelOperator
    from headgate.airflow.pipeline.dag import PipelineDag as PipelineDag
    from headgate.airflow.pipeline.task_group import PipelineTaskGroup as PipelineTaskGroup
    from headgate.airflow.promoted import PromotedModel as PromotedModel
    from headgate.airflow.promoted import promoted_model as promoted_model
    from headgate.airflow.promoted import promoted_models as promoted_models
    from headgate.airflow.tracked import tracked as tracked
    from headgate.airflow.triggers import PromotionTrigger as PromotionTrigger

__all__ = [
    "ApprovePromotionOperator",
    "EvaluateModelOperator",
    "GateOperator",
    "HeadgateHook",
    "HeadgateOperator",
    "PipelineDag",
    "PipelineTaskGroup",
    "PromoteModelOperator",
    "PromotedModel",
    "PromotionTrigger",
    "ReapRunsOperator",
    "RegisterModelOperator",
    "RollBackModelOperator",
    "RunProjectOperator",
    "ValidateDataOperator",
    "WatchModelOperator",
    "dataset_asset",
    "model_asset",
    "promoted_model",
    "promoted_models",
    "tracked",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
