"""A search as a person at a terminal has it: arguments, command, progress, result."""
