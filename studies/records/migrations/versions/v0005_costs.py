"""What a network costs beside parameters and MACs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Say of evaluations how much memory they take and how long; older ones do not say."""
    for column in (
        sa.Column("activation_memory", sa.BigInteger, nullable=True),
        sa.Column("latency", sa.Double, nullable=True),
        sa.Column("latency_device", sa.Text, nullable=True),
    ):
        op.add_column("nas_evaluations", column)
