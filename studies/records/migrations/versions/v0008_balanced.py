"""Accuracies that count every class alike."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add balanced accuracies; of earlier measurements nobody knows them."""
    for table in ("nas_evaluations", "nas_exports"):
        op.add_column(table, sa.Column("balanced_accuracy", sa.Double, nullable=True))
