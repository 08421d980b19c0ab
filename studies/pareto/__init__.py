"""Which networks are worth having: fronts, hypervolumes, knees, and the command."""
