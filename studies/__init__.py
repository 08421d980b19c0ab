"""What we know: every evaluation in SQL, the Pareto front of it, and exported networks."""
