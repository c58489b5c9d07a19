"""LoggedModels (MLflow 3) with their tags, params and metrics."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    DIGEST_LENGTH,
    ID_LENGTH,
    KEY_LENGTH,
    NAME_LENGTH,
    Base,
    BigId,
    BigInteger,
    Double,
    LongText,
    Text,
    ValueHead,
    table_args,
)


class LoggedModelRow(Base, table=True):
    __tablename__ = "headgate_logged_model"
    __table_args__ = table_args(
        Index("ix_headgate_logged_model_search", "experiment_id", "lifecycle_stage", "creation_timestamp", "model_id"),
    )

    model_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger, foreign_key="headgate_experiment.experiment_id")
    name: str = Field(max_length=NAME_LENGTH, index=True)
    artifact_location: str = Field(sa_type=Text)
    creation_timestamp: int = Field(sa_type=BigInteger)
    last_updated_timestamp: int = Field(sa_type=BigInteger)
    status: str = Field(max_length=16)
    status_message: str | None = Field(default=None, sa_type=Text)
    model_type: str | None = Field(default=None, max_length=NAME_LENGTH)
    source_run_id: str | None = Field(default=None, max_length=ID_LENGTH, index=True)
    lifecycle_stage: str = Field(max_length=16)
    deleted_timestamp: int | None = Field(default=None, sa_type=BigInteger)
    artifact_digest: str | None = Field(default=None, max_length=DIGEST_LENGTH)


class LoggedModelTagRow(Base, table=True):
    __tablename__ = "headgate_logged_model_tag"
    __table_args__ = table_args(
        Index("ix_headgate_logged_model_tag_search", "experiment_id", "key", "value_head", "model_id")
    )

    model_id: str = Field(
        primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_logged_model.model_id", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger)
    value: str = Field(sa_type=LongText)
    value_head: str = Field(sa_type=ValueHead)


class LoggedModelParamRow(Base, table=True):
    __tablename__ = "headgate_logged_model_param"
    __table_args__ = table_args(
        Index("ix_headgate_logged_model_param_search", "experiment_id", "key", "value_head", "model_id")
    )

    model_id: str = Field(
        primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_logged_model.model_id", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger)
    value: str = Field(sa_type=LongText)
    value_head: str = Field(sa_type=ValueHead)


class LoggedModelMetricRow(Base, table=True):
    """A point measured on a model: where (dataset) and by which run. The empty string stands for "no dataset".

    The same point sent twice is stored once: ``point_key`` is its digest.
    """

    __tablename__ = "headgate_logged_model_metric"
    __table_args__ = table_args(
        UniqueConstraint("model_id", "point_key"),
        Index("ix_headgate_logged_model_metric_key", "model_id", "key"),
        Index("ix_headgate_logged_model_metric_search", "experiment_id", "key", "value", "model_id"),
        Index("ix_headgate_logged_model_metric_run", "run_id"),
    )

    metric_id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    model_id: str = Field(max_length=ID_LENGTH, foreign_key="headgate_logged_model.model_id", ondelete="CASCADE")
    point_key: str = Field(max_length=40)
    experiment_id: int = Field(sa_type=BigInteger)
    key: str = Field(max_length=KEY_LENGTH)
    value: float = Field(sa_type=Double)
    is_nan: bool = Field(default=False)
    timestamp: int = Field(sa_type=BigInteger)
    step: int = Field(sa_type=BigInteger)
    run_id: str = Field(max_length=ID_LENGTH)
    dataset_name: str = Field(default="", max_length=NAME_LENGTH)
    dataset_digest: str = Field(default="", max_length=DIGEST_LENGTH)
