"""Runs, the leases that keep them alive, and what a run says of itself: params and tags.

Params and tags repeat their run's experiment: a search is always within experiments, and one index then answers it.
"""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    ID_LENGTH,
    KEY_LENGTH,
    Base,
    BigInteger,
    Text,
    ValueHead,
    table_args,
)


class RunRow(Base, table=True):
    __tablename__ = "headgate_run"
    __table_args__ = table_args(
        # One attempt number of one piece of work is one run: a writer that runs twice finds its row again.
        UniqueConstraint("work_key", "attempt"),
        Index("ix_headgate_run_search", "experiment_id", "lifecycle_stage", "start_time", "run_id"),
        Index("ix_headgate_run_status", "status"),
        Index("ix_headgate_run_pipeline", "pipeline", "start_time"),
        Index("ix_headgate_run_pipeline_run", "pipeline_run_id"),
    )

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger, foreign_key="headgate_experiment.experiment_id")
    name: str = Field(max_length=KEY_LENGTH)
    status: str = Field(max_length=16)
    start_time: int = Field(sa_type=BigInteger)
    end_time: int | None = Field(default=None, sa_type=BigInteger)
    lifecycle_stage: str = Field(max_length=16)
    deleted_time: int | None = Field(default=None, sa_type=BigInteger)
    artifact_uri: str = Field(sa_type=Text)
    user_id: str = Field(max_length=256)
    parent_run_id: str | None = Field(
        default=None, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="SET NULL", index=True
    )

    origin: str = Field(max_length=32)
    pipeline: str | None = Field(default=None, max_length=KEY_LENGTH)
    pipeline_run_id: str | None = Field(default=None, max_length=KEY_LENGTH)
    task: str | None = Field(default=None, max_length=KEY_LENGTH)
    map_index: int = Field(default=-1)
    attempt: int = Field(default=1)
    logical_date: int | None = Field(default=None, sa_type=BigInteger)
    data_interval_start: int | None = Field(default=None, sa_type=BigInteger)
    data_interval_end: int | None = Field(default=None, sa_type=BigInteger)
    # NULL for anonymous work: every database lets any number of NULLs into a unique constraint.
    work_key: str | None = Field(default=None, max_length=64)
    previous_attempt_id: str | None = Field(default=None, max_length=ID_LENGTH)
    superseded_by: str | None = Field(default=None, max_length=ID_LENGTH)


class RunLeaseRow(Base, table=True):
    """A table of its own, so that a heartbeat rewrites a small row and no index of the runs."""

    __tablename__ = "headgate_run_lease"
    __table_args__ = table_args()

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    owner: str = Field(max_length=64)
    host: str = Field(max_length=255)
    pid: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    heartbeat_at: int = Field(sa_type=BigInteger)


class ParamRow(Base, table=True):
    __tablename__ = "headgate_param"
    __table_args__ = table_args(
        Index("ix_headgate_param_search", "experiment_id", "key", "value_head", "run_id"),
        sqlite_with_rowid=False,
    )

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger)
    value: str = Field(sa_type=Text)
    value_head: str = Field(sa_type=ValueHead)


class RunTagRow(Base, table=True):
    __tablename__ = "headgate_run_tag"
    __table_args__ = table_args(
        Index("ix_headgate_run_tag_search", "experiment_id", "key", "value_head", "run_id"),
        sqlite_with_rowid=False,
    )

    run_id: str = Field(primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_run.run_id", ondelete="CASCADE")
    key: str = Field(primary_key=True, max_length=KEY_LENGTH)
    experiment_id: int = Field(sa_type=BigInteger)
    value: str = Field(sa_type=Text)
    value_head: str = Field(sa_type=ValueHead)
