"""The command of a search: first it checks its arguments and starts Ray.

This module imports little, so that both happen soon; the rest is imported while Ray starts.
"""

from collections.abc import Sequence

from nas_space.cli import run
from nas_space.waiting import waiting
from searchers.ray.cluster import Cluster
from searchers.setup import set_up
from searchers.terminal.arguments import read


def command(argv: Sequence[str]) -> int:
    """Parse the arguments and run the search; the exit code."""
    return run(lambda: _command(argv))


def _command(argv: Sequence[str]) -> int:
    settings = read(argv)
    with waiting(f"reading the images of {settings.dataset}") as told:
        setup = set_up(settings, told)
    if setup.latency is not None:
        print(setup.latency)  # noqa: T201
    with Cluster(settings.cluster, verbose=settings.verbose) as cluster:
        with waiting("loading torch and starting Ray"):
            from searchers.terminal import session  # noqa: PLC0415 - seconds, while Ray starts

        # Inside the context, so that the user sees a refusal before the cluster has ended.
        return run(lambda: session.session(settings, setup, cluster))
