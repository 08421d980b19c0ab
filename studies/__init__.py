"""What is known: every evaluation in SQL, their Pareto front, and exported networks."""
