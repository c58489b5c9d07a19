"""The store's tables. They stay inside :mod:`headgate.store`; what leaves it are :mod:`headgate.store.entities`.

Each table loads on first use: building one class costs some milliseconds, and most processes need a few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "ApprovalRow": ".promotions",
    "Base": ".base",
    "DatasetInputRow": ".datasets",
    "DatasetInputTagRow": ".datasets",
    "DatasetRow": ".datasets",
    "DeliveryRow": ".outbox",
    "ExperimentRow": ".experiments",
    "ExperimentTagRow": ".experiments",
    "GuardRow": ".promotions",
    "LoggedModelMetricRow": ".logged_models",
    "LoggedModelParamRow": ".logged_models",
    "LoggedModelRow": ".logged_models",
    "LoggedModelTagRow": ".logged_models",
    "MetricPointRow": ".metrics",
    "MetricSeriesRow": ".metrics",
    "ModelAliasRow": ".registry",
    "ModelVersionRow": ".registry",
    "ModelVersionTagRow": ".registry",
    "OutboxHeadRow": ".outbox",
    "OutboxRow": ".outbox",
    "ParamRow": ".runs",
    "PromotionRow": ".promotions",
    "RegisteredModelRow": ".registry",
    "RegisteredModelTagRow": ".registry",
    "RunLeaseRow": ".runs",
    "RunModelRow": ".datasets",
    "RunRow": ".runs",
    "RunTagRow": ".runs",
    "StageRulesRow": ".registry",
    "SubscriptionRow": ".outbox",
    "TokenRow": ".tokens",
    "VerdictCheckRow": ".promotions",
    "VerdictRow": ".promotions",
    "WebhookRow": ".webhooks",
    "metadata": ".schema",
}

if TYPE_CHECKING:
    from headgate.store.tables.base import Base as Base
    from headgate.store.tables.datasets import DatasetInputRow as DatasetInputRow
    from headgate.store.tables.datasets import DatasetInputTagRow as DatasetInputTagRow
    from headgate.store.tables.datasets import DatasetRow as DatasetRow
    from headgate.store.tables.datasets import RunModelRow as RunModelRow
    from headgate.store.tables.experiments import ExperimentRow as ExperimentRow
    from headgate.store.tables.experiments import ExperimentTagRow as ExperimentTagRow
    from headgate.store.tables.logged_models import LoggedModelMetricRow as LoggedModelMetricRow
    from headgate.store.tables.logged_models import LoggedModelParamRow as LoggedModelParamRow
    from headgate.store.tables.logged_models import LoggedModelRow as LoggedModelRow
    from headgate.store.tables.logged_models import LoggedModelTagRow as LoggedModelTagRow
    from headgate.store.tables.metrics import MetricPointRow as MetricPointRow
    from headgate.store.tables.metrics import MetricSeriesRow as MetricSeriesRow
    from headgate.store.tables.outbox import DeliveryRow as DeliveryRow
    from headgate.store.tables.outbox import OutboxHeadRow as OutboxHeadRow
    from headgate.store.tables.outbox import OutboxRow as OutboxRow
    from headgate.store.tables.outbox import SubscriptionRow as SubscriptionRow
    from headgate.store.tables.promotions import ApprovalRow as ApprovalRow
    from headgate.store.tables.promotions import GuardRow as GuardRow
    from headgate.store.tables.promotions import PromotionRow as PromotionRow
    from headgate.store.tables.promotions import VerdictCheckRow as VerdictCheckRow
    from headgate.store.tables.promotions import VerdictRow as VerdictRow
    from headgate.store.tables.registry import ModelAliasRow as ModelAliasRow
    from headgate.store.tables.registry import ModelVersionRow as ModelVersionRow
    from headgate.store.tables.registry import ModelVersionTagRow as ModelVersionTagRow
    from headgate.store.tables.registry import RegisteredModelRow as RegisteredModelRow
    from headgate.store.tables.registry import RegisteredModelTagRow as RegisteredModelTagRow
    from headgate.store.tables.registry import StageRulesRow as StageRulesRow
    from headgate.store.tables.runs import ParamRow as ParamRow
    from headgate.store.tables.runs import RunLeaseRow as RunLeaseRow
    from headgate.store.tables.runs import RunRow as RunRow
    from headgate.store.tables.runs import RunTagRow as RunTagRow
    from headgate.store.tables.schema import metadata as metadata
    from headgate.store.tables.tokens import TokenRow as TokenRow
    from headgate.store.tables.webhooks import WebhookRow as WebhookRow

__all__ = [
    "ApprovalRow",
    "Base",
    "DatasetInputRow",
    "DatasetInputTagRow",
    "DatasetRow",
    "DeliveryRow",
    "ExperimentRow",
    "ExperimentTagRow",
    "GuardRow",
    "LoggedModelMetricRow",
    "LoggedModelParamRow",
    "LoggedModelRow",
    "LoggedModelTagRow",
    "MetricPointRow",
    "MetricSeriesRow",
    "ModelAliasRow",
    "ModelVersionRow",
    "ModelVersionTagRow",
    "OutboxHeadRow",
    "OutboxRow",
    "ParamRow",
    "PromotionRow",
    "RegisteredModelRow",
    "RegisteredModelTagRow",
    "RunLeaseRow",
    "RunModelRow",
    "RunRow",
    "RunTagRow",
    "StageRulesRow",
    "SubscriptionRow",
    "TokenRow",
    "VerdictCheckRow",
    "VerdictRow",
    "WebhookRow",
    "metadata",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
