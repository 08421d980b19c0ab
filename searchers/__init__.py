"""Brings all together: Optuna proposes, Ray Tune schedules, one recorder writes."""
