"""What is stored: the tables, their database, and the checks of their rows."""
