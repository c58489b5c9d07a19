"""Metrics, as series and points.

A *series* is one metric key of one run; it carries the latest value, which searches and tables use. A *point* belongs
to a series by number, so a point takes about 40 bytes whatever the names are (MLflow's layout takes 230 in SQLite).

``value`` is 0 where ``is_nan`` is set, and ±1.7976931348623157e308 stands for the infinities: MySQL stores neither, and
SQLite turns NaN into NULL.
"""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    ID_LENGTH,
    KEY_LENGTH,
    Base,
    BigId,
    BigInteger,
    Double,
    table_args,
)


class MetricSeriesRow(Base, table=True):
    """``experiment_id`` repeats the run's: order by a metric within an experiment is then a walk along one index."""

    __tablename__ = "headgate_metric_series"
    __table_args__ = table_args(
        UniqueConstraint("run_id", "key"),
        Index("ix_headgate_metric_series_search", "experiment_id", "key", "is_nan", "value", "run_id"),
    )

    series_id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    run_id: str = Field(max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    key: str = Field(max_length=KEY_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger)
    value: float = Field(sa_type=Double)
    is_nan: bool = Field(default=False)
    timestamp: int = Field(sa_type=BigInteger)
    step: int = Field(sa_type=BigInteger)


class MetricPointRow(Base, table=True):
    """The key is the whole point: a point that is sent twice is stored once.

    No foreign key: the series' number comes from its row in the same transaction, no series is ever deleted, and asking
    for it again with each point is nearly half of what PostgreSQL spends on one.
    """

    __tablename__ = "headgate_metric_point"
    __table_args__ = table_args(sqlite_with_rowid=False)

    series_id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    step: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    timestamp: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    value: float = Field(primary_key=True, sa_type=Double)
    is_nan: bool = Field(default=False, primary_key=True)
