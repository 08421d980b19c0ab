"""A search on a terminal: arguments, command, progress, result."""
