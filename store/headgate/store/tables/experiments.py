"""Experiments and their tags."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    KEY_LENGTH,
    NAME_LENGTH,
    WORKSPACE_LENGTH,
    Base,
    BigInteger,
    LongText,
    Text,
    table_args,
)


class ExperimentRow(Base, table=True):
    __tablename__ = "headgate_experiment"
    __table_args__ = table_args(UniqueConstraint("workspace", "name"))

    # Not an autoincrement: MLflow's default experiment is number 0, which MySQL takes for "give me the next one".
    experiment_id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    name: str = Field(max_length=NAME_LENGTH)
    artifact_location: str = Field(sa_type=Text)
    lifecycle_stage: str = Field(max_length=16)
    creation_time: int = Field(sa_type=BigInteger)
    last_update_time: int = Field(sa_type=BigInteger)


class ExperimentTagRow(Base, table=True):
    __tablename__ = "headgate_experiment_tag"
    __table_args__ = table_args()

    experiment_id: int = Field(
        primary_key=True,
        sa_type=BigInteger,
        foreign_key="headgate_experiment.experiment_id",
        ondelete="CASCADE",
        sa_column_kwargs={"autoincrement": False},
    )
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    # 20,000 characters of four bytes are more than MySQL's TEXT holds.
    value: str = Field(sa_type=LongText)
