"""What a study makes small, beside making accuracy large."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Say of studies which cost it is, and of evaluations how much; so far it was MACs."""
    op.add_column(
        "nas_studies", sa.Column("objective", sa.String(32), nullable=False, server_default="macs")
    )
    op.add_column("nas_studies", sa.Column("objective_device", sa.Text, nullable=True))
    op.add_column(
        "nas_evaluations", sa.Column("cost", sa.Double, nullable=False, server_default="0")
    )
    op.execute("UPDATE nas_evaluations SET cost = macs")
