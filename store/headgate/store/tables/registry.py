"""The model registry: registered models, versions, aliases and their tags."""

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from headgate.store.tables.base import (
    ID_LENGTH,
    KEY_LENGTH,
    WORKSPACE_LENGTH,
    Base,
    BigInteger,
    Json,
    LongText,
    Text,
    table_args,
)

MODEL_NAME_LENGTH = 256

_MODEL = ("headgate_registered_model.workspace", "headgate_registered_model.name")
_VERSION = (
    "headgate_model_version.workspace",
    "headgate_model_version.name",
    "headgate_model_version.version",
)


class RegisteredModelRow(Base, table=True):
    __tablename__ = "headgate_registered_model"
    __table_args__ = table_args()

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    description: str = Field(default="", sa_type=Text)
    last_version: int  # the highest number that was ever given
    creation_timestamp: int = Field(sa_type=BigInteger)
    last_updated_timestamp: int = Field(sa_type=BigInteger)


class RegisteredModelTagRow(Base, table=True):
    __tablename__ = "headgate_registered_model_tag"
    __table_args__ = table_args(
        ForeignKeyConstraint(["workspace", "name"], list(_MODEL), ondelete="CASCADE", onupdate="CASCADE")
    )

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    value: str = Field(sa_type=LongText)


class StageRulesRow(Base, table=True):
    """How the versions of a model may go from stage to stage; a model without a row follows MLflow's rules: none."""

    __tablename__ = "headgate_stage_rules"
    __table_args__ = table_args(
        ForeignKeyConstraint(["workspace", "model_name"], list(_MODEL), ondelete="CASCADE", onupdate="CASCADE")
    )

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    model_name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    stage_order: list[str] = Field(sa_type=Json)
    single: list[str] = Field(sa_type=Json)
    updated_at: int = Field(sa_type=BigInteger)
    updated_by: str = Field(default="", max_length=256)


class ModelVersionRow(Base, table=True):
    __tablename__ = "headgate_model_version"
    __table_args__ = table_args(
        ForeignKeyConstraint(["workspace", "name"], list(_MODEL), ondelete="CASCADE", onupdate="CASCADE"),
        Index("ix_headgate_model_version_model_id", "model_id"),
        Index("ix_headgate_model_version_run_id", "run_id"),
        Index("ix_headgate_model_version_stage", "workspace", "name", "current_stage"),
    )

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    source: str = Field(sa_type=Text)
    run_id: str | None = Field(default=None, max_length=ID_LENGTH)
    model_id: str | None = Field(default=None, max_length=ID_LENGTH)
    run_link: str | None = Field(default=None, sa_type=Text)
    status: str = Field(max_length=32)
    status_message: str | None = Field(default=None, sa_type=Text)
    current_stage: str = Field(default="None", max_length=32)
    description: str = Field(default="", sa_type=Text)
    user_id: str = Field(default="", max_length=256)
    creation_timestamp: int = Field(sa_type=BigInteger)
    last_updated_timestamp: int = Field(sa_type=BigInteger)


class ModelVersionTagRow(Base, table=True):
    __tablename__ = "headgate_model_version_tag"
    __table_args__ = table_args(
        ForeignKeyConstraint(["workspace", "name", "version"], list(_VERSION), ondelete="CASCADE", onupdate="CASCADE")
    )

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    value: str = Field(sa_type=LongText)


class ModelAliasRow(Base, table=True):
    __tablename__ = "headgate_model_alias"
    __table_args__ = table_args(
        ForeignKeyConstraint(["workspace", "name", "version"], list(_VERSION), ondelete="CASCADE", onupdate="CASCADE")
    )

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    alias: str = Field(primary_key=True, max_length=255)
    version: int
