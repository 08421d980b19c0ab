"""Who works on a study, what is being trained, and what was."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of drivers and claims, and look architectures up by another index."""
    op.create_table(
        "nas_drivers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, sa.ForeignKey("nas_studies.id"), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("process", sa.BigInteger, nullable=False),
        sa.Column("began", sa.String(32), nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_nas_drivers_study_id", "nas_drivers", ["study_id"])
    op.create_table(
        "nas_claims",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, sa.ForeignKey("nas_studies.id"), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("architecture", sa.JSON, nullable=False),
        sa.Column("driver_id", sa.Integer, sa.ForeignKey("nas_drivers.id"), nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("study_id", "key", "epochs", name="uq_nas_claims_study_id_key_epochs"),
    )
    op.create_index("ix_nas_claims_driver_id", "nas_claims", ["driver_id"])
    # Before anything is trained it is looked up whether it was.
    op.drop_index("ix_nas_evaluations_key", "nas_evaluations")
    op.create_index(
        "ix_nas_evaluations_study_id_key_epochs", "nas_evaluations", ["study_id", "key", "epochs"]
    )
