"""Alembic's entry: runs the migrations on the connection that the database hands over."""

from alembic import context

from studies.records.tables import Base

VERSION_TABLE = "nas_alembic_version"

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
