"""Guards, verdicts with their checks, and the append-only history of promotions."""

from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    DIGEST_LENGTH,
    ID_LENGTH,
    KEY_LENGTH,
    NAME_LENGTH,
    TARGET_LENGTH,
    WORKSPACE_LENGTH,
    Base,
    BigInteger,
    Json,
    LongText,
    Text,
    table_args,
)
from headgate.store.tables.registry import MODEL_NAME_LENGTH


class GuardRow(Base, table=True):
    """This target of this model moves only by a promotion through this gate."""

    __tablename__ = "headgate_guard"
    __table_args__ = table_args()

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    model_name: str = Field(primary_key=True, max_length=MODEL_NAME_LENGTH)
    target: str = Field(primary_key=True, max_length=TARGET_LENGTH)
    gate_name: str = Field(max_length=KEY_LENGTH)
    gate_digest: str = Field(max_length=DIGEST_LENGTH)
    gate_definition: dict[str, Any] = Field(sa_type=Json)
    updated_at: int = Field(sa_type=BigInteger)
    updated_by: str = Field(default="", max_length=256)
    approvers: list[str] = Field(default_factory=list, sa_type=Json)
    quorum: int = Field(default=0)
    authenticated: bool = Field(default=False)
    overriders: list[str] = Field(default_factory=list, sa_type=Json)


class VerdictRow(Base, table=True):
    __tablename__ = "headgate_verdict"
    __table_args__ = table_args(
        Index("ix_headgate_verdict_model", "workspace", "model_name", "decided_at"),
        Index("ix_headgate_verdict_candidate", "candidate_model_id"),
    )

    verdict_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    model_name: str = Field(max_length=MODEL_NAME_LENGTH)
    target: str = Field(max_length=TARGET_LENGTH)
    gate_name: str = Field(max_length=KEY_LENGTH)
    gate_digest: str = Field(max_length=DIGEST_LENGTH)
    gate_definition: dict[str, Any] = Field(sa_type=Json)
    outcome: str = Field(max_length=16)
    candidate_model_id: str = Field(max_length=ID_LENGTH)
    candidate_digest: str | None = Field(default=None, max_length=DIGEST_LENGTH)
    candidate_logical_date: int | None = Field(default=None, sa_type=BigInteger)
    champion_version: int | None = Field(default=None)
    champion_model_id: str | None = Field(default=None, max_length=ID_LENGTH)
    decided_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)
    decided_by: str = Field(default="", max_length=256)
    run_id: str | None = Field(default=None, max_length=ID_LENGTH, index=True)
    used_by: str | None = Field(default=None, max_length=ID_LENGTH)
    shadow: bool = Field(default=False)


class VerdictCheckRow(Base, table=True):
    __tablename__ = "headgate_verdict_check"
    __table_args__ = table_args()

    verdict_id: str = Field(
        primary_key=True, max_length=ID_LENGTH, foreign_key="headgate_verdict.verdict_id", ondelete="CASCADE"
    )
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    path: str = Field(max_length=NAME_LENGTH)
    kind: str = Field(max_length=32)
    rule: str = Field(sa_type=Text)
    outcome: str = Field(max_length=16)
    severity: str = Field(max_length=16)
    metric: str | None = Field(default=None, max_length=KEY_LENGTH)
    # As text: a measured NaN or infinity has to be readable in the verdict, and MySQL stores neither as a number.
    threshold: str | None = Field(default=None, max_length=32)
    actual: str | None = Field(default=None, max_length=32)
    champion_value: str | None = Field(default=None, max_length=32)
    dataset_name: str | None = Field(default=None, max_length=NAME_LENGTH)
    dataset_digest: str | None = Field(default=None, max_length=DIGEST_LENGTH)
    run_id: str | None = Field(default=None, max_length=ID_LENGTH)
    measured_at: int | None = Field(default=None, sa_type=BigInteger)
    message: str = Field(default="", sa_type=LongText)
    margin: str | None = Field(default=None, max_length=32)
    owner: str | None = Field(default=None, max_length=KEY_LENGTH)
    reason: str | None = Field(default=None, sa_type=Text)


class ApprovalRow(Base, table=True):
    """Append-only: whoever changes their mind says so in a row of its own."""

    __tablename__ = "headgate_approval"
    __table_args__ = table_args(UniqueConstraint("verdict_id", "sequence"))

    approval_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    verdict_id: str = Field(max_length=ID_LENGTH, foreign_key="headgate_verdict.verdict_id")
    sequence: int
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    model_name: str = Field(max_length=MODEL_NAME_LENGTH)
    target: str = Field(max_length=TARGET_LENGTH)
    candidate_model_id: str = Field(max_length=ID_LENGTH)
    candidate_digest: str | None = Field(default=None, max_length=DIGEST_LENGTH)
    gate_digest: str = Field(max_length=DIGEST_LENGTH)
    decision: str = Field(max_length=16)
    actor: str = Field(max_length=256)
    authenticated: bool
    source: str = Field(max_length=64)
    reason: str = Field(default="", sa_type=Text)
    created_at: int = Field(sa_type=BigInteger)


class PromotionRow(Base, table=True):
    """Append-only. The unique sequence per target is what makes two promotions at once impossible."""

    __tablename__ = "headgate_promotion"
    __table_args__ = table_args(
        UniqueConstraint("workspace", "model_name", "target", "sequence"),
        UniqueConstraint("verdict_id"),
        Index("ix_headgate_promotion_time", "workspace", "model_name", "created_at"),
        Index("ix_headgate_promotion_then", "workspace", "model_name", "target", "created_at"),
        Index("ix_headgate_promotion_version", "workspace", "model_name", "target", "to_version", "sequence"),
        Index("ix_headgate_promotion_newest", "workspace", "created_at"),
    )

    promotion_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    model_name: str = Field(max_length=MODEL_NAME_LENGTH)
    target: str = Field(max_length=TARGET_LENGTH)
    sequence: int
    kind: str = Field(max_length=16)
    from_version: int | None = Field(default=None)
    to_version: int | None = Field(default=None)
    verdict_id: str | None = Field(default=None, max_length=ID_LENGTH)
    logical_date: int | None = Field(default=None, sa_type=BigInteger)
    approval_id: str | None = Field(default=None, max_length=ID_LENGTH)
    approved_by: str | None = Field(default=None, max_length=256)
    actor: str = Field(max_length=256)
    authenticated: bool = Field(default=False)
    reason: str = Field(default="", sa_type=Text)
    created_at: int = Field(sa_type=BigInteger)
