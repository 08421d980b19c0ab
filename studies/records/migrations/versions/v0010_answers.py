"""Answers of networks class by class, from which any metric of them can be computed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the counts; of earlier measurements nobody knows them."""
    for table in ("nas_evaluations", "nas_exports"):
        op.add_column(table, sa.Column("answers", sa.JSON, nullable=True))
