"""Trainings of one network with several seeds, with checkpoints and a file of results."""
