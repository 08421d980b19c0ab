"""What is stored: the tables, the database they are in, and what keeps both sound."""
