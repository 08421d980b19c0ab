"""A search as one HTML page that needs nothing else."""
