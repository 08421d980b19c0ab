"""`python -m searchers.run`: the main job."""

import os
import sys

# Ray and Tune read these when they are imported.
_RAY_SETTINGS = {
    # Under `uv run` Ray would start every worker with another `uv run`, which takes seconds.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "disabled",
    # The database is the record: no CSV, JSON and TensorBoard files, no frequent checkpoints.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def main() -> int:
    """Run a search from the command line."""
    for name, value in _RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    from searchers.command import command  # noqa: PLC0415 - Ray, after its settings

    return command(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
