"""Trainings that go on from a checkpoint."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Say of evaluations and claims what a checkpoint spared, and keep checkpoints."""
    for table in ("nas_evaluations", "nas_claims"):
        column = sa.Column("start", sa.Integer, nullable=False, server_default="0")
        op.add_column(table, column)
    op.create_table(
        "nas_checkpoints",
        sa.Column(
            "evaluation_id",
            sa.Integer,
            sa.ForeignKey("nas_evaluations.id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("data", sa.LargeBinary(2**31 - 1), nullable=False),
    )
