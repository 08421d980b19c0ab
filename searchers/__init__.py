"""The only package that wires: Optuna proposes, Ray Tune schedules, one recorder writes."""
