"""Alembic's entry: runs the migrations on the connection that the database hands over."""

from alembic import context

from studies.records.database import VERSION_TABLE
from studies.records.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
