"""Answers of finalists class by class, as migration 10 keeps them of trials and exports."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the counts; of earlier retrainings nobody knows them."""
    op.add_column("nas_retrainings", sa.Column("answers", sa.JSON, nullable=True))
