"""All the tables at once, as migrations create them and tests compare them."""

from headgate.store.tables import (
    datasets,
    experiments,
    logged_models,
    metrics,
    outbox,
    promotions,
    registry,
    runs,
    tokens,
    webhooks,
)
from headgate.store.tables.base import metadata

TABLES = (datasets, experiments, logged_models, metrics, outbox, promotions, registry, runs, tokens, webhooks)

__all__ = ["TABLES", "metadata"]
