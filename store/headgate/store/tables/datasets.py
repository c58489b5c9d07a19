"""Datasets, and what runs take in and give out: datasets and models."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    DIGEST_LENGTH,
    ID_LENGTH,
    KEY_LENGTH,
    NAME_LENGTH,
    Base,
    BigInteger,
    LongText,
    Text,
    table_args,
)


class DatasetRow(Base, table=True):
    __tablename__ = "headgate_dataset"
    __table_args__ = table_args(UniqueConstraint("experiment_id", "name", "digest"))

    dataset_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger, foreign_key="headgate_experiment.experiment_id")
    name: str = Field(max_length=NAME_LENGTH)
    digest: str = Field(max_length=DIGEST_LENGTH, index=True)
    source_type: str = Field(max_length=64)
    source: str = Field(sa_type=LongText)
    schema_: str | None = Field(default=None, sa_type=LongText, sa_column_kwargs={"name": "schema"})
    profile: str | None = Field(default=None, sa_type=LongText)


class DatasetInputRow(Base, table=True):
    __tablename__ = "headgate_dataset_input"
    __table_args__ = table_args()

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    dataset_id: str = Field(
        primary_key=True,
        max_length=ID_LENGTH,
        foreign_key="headgate_dataset.dataset_id",
        ondelete="CASCADE",
        index=True,
    )


class DatasetInputTagRow(Base, table=True):
    __tablename__ = "headgate_dataset_input_tag"
    __table_args__ = table_args()

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    dataset_id: str = Field(
        primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_dataset.dataset_id", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    value: str = Field(sa_type=Text)


class RunModelRow(Base, table=True):
    """A model that a run used (``input``) or made (``output``, at a step)."""

    __tablename__ = "headgate_run_model"
    __table_args__ = table_args()

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    direction: str = Field(primary_key=True, max_length=8)
    model_id: str = Field(
        primary_key=True,
        max_length=ID_LENGTH,
        foreign_key="headgate_logged_model.model_id",
        ondelete="CASCADE",
        index=True,
    )
    step: int = Field(default=0, sa_type=BigInteger)
