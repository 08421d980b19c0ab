"""Members of a front trained again, with fresh seeds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table of retrainings."""
    op.create_table(
        "nas_retrainings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("evaluation_id", sa.Integer, sa.ForeignKey("nas_evaluations.id"), nullable=False),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("val_accuracy", sa.Double),
        sa.Column("train_loss", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("device", sa.String(255)),
        sa.Column("error", sa.Text),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "evaluation_id",
            "recipe",
            "epochs",
            "seed",
            name="uq_nas_retrainings_evaluation_id_recipe_epochs_seed",
        ),
    )
