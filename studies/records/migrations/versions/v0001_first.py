"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "nas_studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("space", sa.JSON, nullable=False),
        sa.Column("dataset", sa.JSON, nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("name", name="uq_nas_studies_name"),
    )
    op.create_table(
        "nas_evaluations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, sa.ForeignKey("nas_studies.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("architecture", sa.JSON, nullable=False),
        sa.Column("space", sa.String(64), nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("params", sa.BigInteger, nullable=False),
        sa.Column("macs", sa.BigInteger, nullable=False),
        sa.Column("val_accuracy", sa.Double),
        sa.Column("train_loss", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("device", sa.String(255)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("study_id", "number", name="uq_nas_evaluations_study_id_number"),
    )
    op.create_index("ix_nas_evaluations_study_id", "nas_evaluations", ["study_id"])
    op.create_index("ix_nas_evaluations_key", "nas_evaluations", ["key"])
    op.create_table(
        "nas_weights",
        sa.Column(
            "evaluation_id",
            sa.Integer,
            sa.ForeignKey("nas_evaluations.id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("data", sa.LargeBinary(2**31 - 1), nullable=False),
    )
    op.create_table(
        "nas_exports",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("evaluation_id", sa.Integer, sa.ForeignKey("nas_evaluations.id"), nullable=False),
        sa.Column("retrained", sa.Boolean, nullable=False),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("val_accuracy", sa.Double, nullable=False),
        sa.Column("test_accuracy", sa.Double, nullable=False),
        sa.Column("weights", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_nas_exports_evaluation_id", "nas_exports", ["evaluation_id"])
