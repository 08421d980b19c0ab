"""Costs of plugins' objectives, as a mapping: a new objective needs no migration."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the mapping; earlier evaluations have none."""
    op.add_column("nas_evaluations", sa.Column("costs", sa.JSON, nullable=True))
