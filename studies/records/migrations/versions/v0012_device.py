"""The device that the networks of a study are for."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add it; earlier studies have none."""
    op.add_column("nas_studies", sa.Column("device", sa.JSON, nullable=True))
