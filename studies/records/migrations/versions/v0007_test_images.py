"""On which test images an exported network was measured."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the fingerprint of the test images; of earlier measurements nobody knows it."""
    op.add_column("nas_exports", sa.Column("test_images", sa.String(64), nullable=True))
