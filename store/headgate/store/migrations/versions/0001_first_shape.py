"""The first shape of the store.

Revision: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa

from headgate.store.migrations.steps import BIG_ID, JSON, LONG_TEXT, bytewise_text, create_index, create_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    _experiments_and_runs()
    _metrics()
    _logged_models()
    _datasets_and_links()
    _registry()
    _promotions()
    _outbox()
    _tokens()


def _experiments_and_runs() -> None:
    create_table(
        "headgate_experiment",
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("artifact_location", sa.Text(), nullable=False),
        sa.Column("lifecycle_stage", sa.String(length=16), nullable=False),
        sa.Column("creation_time", sa.BigInteger(), nullable=False),
        sa.Column("last_update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", name="pk_headgate_experiment"),
        sa.UniqueConstraint("workspace", "name", name="uq_headgate_experiment_workspace_name"),
    )
    create_table(
        "headgate_experiment_tag",
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["headgate_experiment.experiment_id"],
            name="fk_headgate_experiment_tag_experiment_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "key", name="pk_headgate_experiment_tag"),
    )
    create_table(
        "headgate_run",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("lifecycle_stage", sa.String(length=16), nullable=False),
        sa.Column("deleted_time", sa.BigInteger(), nullable=True),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("parent_run_id", sa.String(length=36), nullable=True),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("pipeline", sa.String(length=250), nullable=True),
        sa.Column("pipeline_run_id", sa.String(length=250), nullable=True),
        sa.Column("task", sa.String(length=250), nullable=True),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("logical_date", sa.BigInteger(), nullable=True),
        sa.Column("data_interval_start", sa.BigInteger(), nullable=True),
        sa.Column("data_interval_end", sa.BigInteger(), nullable=True),
        sa.Column("work_key", sa.String(length=64), nullable=True),
        sa.Column("previous_attempt_id", sa.String(length=36), nullable=True),
        sa.Column("superseded_by", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["headgate_experiment.experiment_id"], name="fk_headgate_run_experiment_id"
        ),
        sa.ForeignKeyConstraint(
            ["parent_run_id"], ["headgate_run.run_id"], name="fk_headgate_run_parent_run_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("run_id", name="pk_headgate_run"),
        sa.UniqueConstraint("work_key", "attempt", name="uq_headgate_run_work_key_attempt"),
    )
    create_index("ix_headgate_run_parent_run_id", "headgate_run", ["parent_run_id"])
    create_index("ix_headgate_run_pipeline", "headgate_run", ["pipeline", "start_time"])
    create_index("ix_headgate_run_pipeline_run", "headgate_run", ["pipeline_run_id"])
    create_index("ix_headgate_run_search", "headgate_run", ["experiment_id", "lifecycle_stage", "start_time", "run_id"])
    create_index("ix_headgate_run_status", "headgate_run", ["status"])
    create_table(
        "headgate_run_lease",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_run_lease_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name="pk_headgate_run_lease"),
    )
    create_index("ix_headgate_run_lease_expires_at", "headgate_run_lease", ["expires_at"])
    create_table(
        "headgate_param",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("value_head", bytewise_text(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_param_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "key", name="pk_headgate_param"),
        sqlite_with_rowid=False,
    )
    create_index("ix_headgate_param_search", "headgate_param", ["experiment_id", "key", "value_head", "run_id"])
    create_table(
        "headgate_run_tag",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("value_head", bytewise_text(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_run_tag_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "key", name="pk_headgate_run_tag"),
        sqlite_with_rowid=False,
    )
    create_index("ix_headgate_run_tag_search", "headgate_run_tag", ["experiment_id", "key", "value_head", "run_id"])


def _metrics() -> None:
    create_table(
        "headgate_metric_series",
        sa.Column("series_id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_metric_series_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("series_id", name="pk_headgate_metric_series"),
        sa.UniqueConstraint("run_id", "key", name="uq_headgate_metric_series_run_id_key"),
    )
    create_index(
        "ix_headgate_metric_series_search",
        "headgate_metric_series",
        ["experiment_id", "key", "is_nan", "value", "run_id"],
    )
    create_table(
        "headgate_metric_point",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "step", "timestamp", "value", "is_nan", name="pk_headgate_metric_point"),
        sqlite_with_rowid=False,
    )
    # ### end Alembic commands ###


def _logged_models() -> None:
    create_table(
        "headgate_logged_model",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("artifact_location", sa.Text(), nullable=False),
        sa.Column("creation_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=True),
        sa.Column("model_type", sa.String(length=500), nullable=True),
        sa.Column("source_run_id", sa.String(length=36), nullable=True),
        sa.Column("lifecycle_stage", sa.String(length=16), nullable=False),
        sa.Column("deleted_timestamp", sa.BigInteger(), nullable=True),
        sa.Column("artifact_digest", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["headgate_experiment.experiment_id"], name="fk_headgate_logged_model_experiment_id"
        ),
        sa.PrimaryKeyConstraint("model_id", name="pk_headgate_logged_model"),
    )
    create_index("ix_headgate_logged_model_name", "headgate_logged_model", ["name"])
    create_index(
        "ix_headgate_logged_model_search",
        "headgate_logged_model",
        ["experiment_id", "lifecycle_stage", "creation_timestamp", "model_id"],
    )
    create_index("ix_headgate_logged_model_source_run_id", "headgate_logged_model", ["source_run_id"])
    create_table(
        "headgate_logged_model_tag",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.Column("value_head", bytewise_text(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["headgate_logged_model.model_id"],
            name="fk_headgate_logged_model_tag_model_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "key", name="pk_headgate_logged_model_tag"),
    )
    create_index(
        "ix_headgate_logged_model_tag_search",
        "headgate_logged_model_tag",
        ["experiment_id", "key", "value_head", "model_id"],
    )
    create_table(
        "headgate_logged_model_param",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.Column("value_head", bytewise_text(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["headgate_logged_model.model_id"],
            name="fk_headgate_logged_model_param_model_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "key", name="pk_headgate_logged_model_param"),
    )
    create_index(
        "ix_headgate_logged_model_param_search",
        "headgate_logged_model_param",
        ["experiment_id", "key", "value_head", "model_id"],
    )
    create_table(
        "headgate_logged_model_metric",
        sa.Column("metric_id", BIG_ID, nullable=False),
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("point_key", sa.String(length=40), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_name", sa.String(length=500), nullable=False),
        sa.Column("dataset_digest", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["headgate_logged_model.model_id"],
            name="fk_headgate_logged_model_metric_model_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("metric_id", name="pk_headgate_logged_model_metric"),
        sa.UniqueConstraint("model_id", "point_key", name="uq_headgate_logged_model_metric_model_id_point_key"),
    )
    create_index("ix_headgate_logged_model_metric_key", "headgate_logged_model_metric", ["model_id", "key"])
    create_index("ix_headgate_logged_model_metric_run", "headgate_logged_model_metric", ["run_id"])
    create_index(
        "ix_headgate_logged_model_metric_search",
        "headgate_logged_model_metric",
        ["experiment_id", "key", "value", "model_id"],
    )


def _datasets_and_links() -> None:
    create_table(
        "headgate_dataset",
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("source_type", sa.String(length=64), nullable=False),
        sa.Column("source", LONG_TEXT, nullable=False),
        sa.Column("schema", LONG_TEXT, nullable=True),
        sa.Column("profile", LONG_TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["headgate_experiment.experiment_id"], name="fk_headgate_dataset_experiment_id"
        ),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_headgate_dataset"),
        sa.UniqueConstraint("experiment_id", "name", "digest", name="uq_headgate_dataset_experiment_id_name_digest"),
    )
    create_index("ix_headgate_dataset_digest", "headgate_dataset", ["digest"])
    create_table(
        "headgate_dataset_input",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["headgate_dataset.dataset_id"],
            name="fk_headgate_dataset_input_dataset_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_dataset_input_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "dataset_id", name="pk_headgate_dataset_input"),
    )
    create_index("ix_headgate_dataset_input_dataset_id", "headgate_dataset_input", ["dataset_id"])
    create_table(
        "headgate_dataset_input_tag",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["headgate_dataset.dataset_id"],
            name="fk_headgate_dataset_input_tag_dataset_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_dataset_input_tag_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "dataset_id", "key", name="pk_headgate_dataset_input_tag"),
    )
    create_table(
        "headgate_run_model",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["headgate_logged_model.model_id"], name="fk_headgate_run_model_model_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["headgate_run.run_id"], name="fk_headgate_run_model_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "direction", "model_id", name="pk_headgate_run_model"),
    )
    create_index("ix_headgate_run_model_model_id", "headgate_run_model", ["model_id"])


def _registry() -> None:
    create_table(
        "headgate_registered_model",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("creation_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_timestamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name="pk_headgate_registered_model"),
    )
    create_table(
        "headgate_registered_model_tag",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "name"],
            ["headgate_registered_model.workspace", "headgate_registered_model.name"],
            name="fk_headgate_registered_model_tag_workspace_name",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace", "name", "key", name="pk_headgate_registered_model_tag"),
    )
    create_table(
        "headgate_model_version",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("model_id", sa.String(length=36), nullable=True),
        sa.Column("run_link", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=True),
        sa.Column("current_stage", sa.String(length=32), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("creation_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_timestamp", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "name"],
            ["headgate_registered_model.workspace", "headgate_registered_model.name"],
            name="fk_headgate_model_version_workspace_name",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace", "name", "version", name="pk_headgate_model_version"),
    )
    create_index("ix_headgate_model_version_model_id", "headgate_model_version", ["model_id"])
    create_index("ix_headgate_model_version_run_id", "headgate_model_version", ["run_id"])
    create_index("ix_headgate_model_version_stage", "headgate_model_version", ["workspace", "name", "current_stage"])
    create_table(
        "headgate_model_version_tag",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "name", "version"],
            ["headgate_model_version.workspace", "headgate_model_version.name", "headgate_model_version.version"],
            name="fk_headgate_model_version_tag_workspace_name_version",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace", "name", "version", "key", name="pk_headgate_model_version_tag"),
    )
    create_table(
        "headgate_model_alias",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "name", "version"],
            ["headgate_model_version.workspace", "headgate_model_version.name", "headgate_model_version.version"],
            name="fk_headgate_model_alias_workspace_name_version",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace", "name", "alias", name="pk_headgate_model_alias"),
    )
    create_table(
        "headgate_stage_rules",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("stage_order", JSON, nullable=False),
        sa.Column("single", JSON, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "model_name"],
            ["headgate_registered_model.workspace", "headgate_registered_model.name"],
            name="fk_headgate_stage_rules_workspace_model_name",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace", "model_name", name="pk_headgate_stage_rules"),
    )


def _promotions() -> None:
    create_table(
        "headgate_guard",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("gate_name", sa.String(length=250), nullable=False),
        sa.Column("gate_digest", sa.String(length=128), nullable=False),
        sa.Column("gate_definition", JSON, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=256), nullable=False),
        sa.Column("approvers", JSON, nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("authenticated", sa.Boolean(), nullable=False),
        sa.Column("overriders", JSON, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "model_name", "target", name="pk_headgate_guard"),
    )
    create_table(
        "headgate_verdict",
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("gate_name", sa.String(length=250), nullable=False),
        sa.Column("gate_digest", sa.String(length=128), nullable=False),
        sa.Column("gate_definition", JSON, nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("candidate_model_id", sa.String(length=36), nullable=False),
        sa.Column("candidate_digest", sa.String(length=128), nullable=True),
        sa.Column("candidate_logical_date", sa.BigInteger(), nullable=True),
        sa.Column("champion_version", sa.Integer(), nullable=True),
        sa.Column("champion_model_id", sa.String(length=36), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=256), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("used_by", sa.String(length=36), nullable=True),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("verdict_id", name="pk_headgate_verdict"),
    )
    create_index("ix_headgate_verdict_candidate", "headgate_verdict", ["candidate_model_id"])
    create_index("ix_headgate_verdict_model", "headgate_verdict", ["workspace", "model_name", "decided_at"])
    create_index("ix_headgate_verdict_run_id", "headgate_verdict", ["run_id"])
    create_table(
        "headgate_verdict_check",
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("metric", sa.String(length=250), nullable=True),
        sa.Column("threshold", sa.String(length=32), nullable=True),
        sa.Column("actual", sa.String(length=32), nullable=True),
        sa.Column("champion_value", sa.String(length=32), nullable=True),
        sa.Column("dataset_name", sa.String(length=500), nullable=True),
        sa.Column("dataset_digest", sa.String(length=128), nullable=True),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("measured_at", sa.BigInteger(), nullable=True),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("margin", sa.String(length=32), nullable=True),
        sa.Column("owner", sa.String(length=250), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["verdict_id"],
            ["headgate_verdict.verdict_id"],
            name="fk_headgate_verdict_check_verdict_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("verdict_id", "position", name="pk_headgate_verdict_check"),
    )
    create_table(
        "headgate_approval",
        sa.Column("approval_id", sa.String(length=36), nullable=False),
        sa.Column("verdict_id", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("candidate_model_id", sa.String(length=36), nullable=False),
        sa.Column("candidate_digest", sa.String(length=128), nullable=True),
        sa.Column("gate_digest", sa.String(length=128), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("authenticated", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["verdict_id"], ["headgate_verdict.verdict_id"], name="fk_headgate_approval_verdict_id"
        ),
        sa.PrimaryKeyConstraint("approval_id", name="pk_headgate_approval"),
        sa.UniqueConstraint("verdict_id", "sequence", name="uq_headgate_approval_verdict_id_sequence"),
    )
    create_table(
        "headgate_promotion",
        sa.Column("promotion_id", sa.String(length=36), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=True),
        sa.Column("verdict_id", sa.String(length=36), nullable=True),
        sa.Column("logical_date", sa.BigInteger(), nullable=True),
        sa.Column("approval_id", sa.String(length=36), nullable=True),
        sa.Column("approved_by", sa.String(length=256), nullable=True),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("authenticated", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("promotion_id", name="pk_headgate_promotion"),
        sa.UniqueConstraint("verdict_id", name="uq_headgate_promotion_verdict_id"),
        sa.UniqueConstraint(
            "workspace",
            "model_name",
            "target",
            "sequence",
            name="uq_headgate_promotion_workspace_model_name_target_sequence",
        ),
    )
    create_index("ix_headgate_promotion_newest", "headgate_promotion", ["workspace", "created_at"])
    create_index("ix_headgate_promotion_time", "headgate_promotion", ["workspace", "model_name", "created_at"])
    create_index(
        "ix_headgate_promotion_then", "headgate_promotion", ["workspace", "model_name", "target", "created_at"]
    )
    create_index(
        "ix_headgate_promotion_version",
        "headgate_promotion",
        ["workspace", "model_name", "target", "to_version", "sequence"],
    )


def _outbox() -> None:
    create_table(
        "headgate_outbox",
        sa.Column("outbox_id", BIG_ID, nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("outbox_id", name="pk_headgate_outbox"),
        sa.UniqueConstraint("event_id", name="uq_headgate_outbox_event_id"),
        sa.UniqueConstraint("position", name="uq_headgate_outbox_position"),
    )
    create_index("ix_headgate_outbox_subject", "headgate_outbox", ["workspace", "subject", "outbox_id"])
    create_table(
        "headgate_outbox_head",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_headgate_outbox_head"),
    )
    create_table(
        "headgate_subscription",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "channel", "topic", "subject", name="pk_headgate_subscription"),
    )
    create_index("ix_headgate_subscription_topic", "headgate_subscription", ["workspace", "topic", "subject"])
    create_table(
        "headgate_delivery",
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("owner", sa.String(length=1024), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["outbox_id"],
            ["headgate_outbox.outbox_id"],
            name="fk_headgate_delivery_outbox_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel", "outbox_id", name="pk_headgate_delivery"),
    )
    create_index(
        "ix_headgate_delivery_pending", "headgate_delivery", ["workspace", "channel", "delivered_at", "outbox_id"]
    )
    create_index("ix_headgate_delivery_subject", "headgate_delivery", ["channel", "subject", "delivered_at"])
    create_index("ix_headgate_delivery_model", "headgate_delivery", ["channel", "model_name", "delivered_at"])
    create_table(
        "headgate_webhook",
        sa.Column("webhook_id", sa.String(length=36), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret_env", sa.String(length=250), nullable=False),
        sa.Column("form", sa.String(length=16), nullable=False),
        sa.Column("topics", JSON, nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", name="pk_headgate_webhook"),
        sa.UniqueConstraint("workspace", "name", name="uq_headgate_webhook_workspace_name"),
    )


def _tokens() -> None:
    create_table(
        "headgate_token",
        sa.Column("token_id", sa.String(length=36), nullable=False),
        sa.Column("user_name", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=256), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name="pk_headgate_token"),
        sa.UniqueConstraint("secret_hash", name="uq_headgate_token_secret_hash"),
    )
    create_index("ix_headgate_token_user_name", "headgate_token", ["user_name"])
