"""The schema's versions, by Alembic, in a version table of their own."""
