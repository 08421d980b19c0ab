"""What is stored: the tables, the database they are in, and what is checked of a row."""
