"""Measurements, one command each; see each file's first lines."""
