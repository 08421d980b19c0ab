"""A connection to a database that others lock, replace or delete meanwhile."""
