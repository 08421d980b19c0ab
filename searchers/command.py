"""The command of a search: its arguments are checked and Ray is started before all else.

What this module imports by itself is light, so that both come soon; the rest is imported while Ray
starts.
"""

from collections.abc import Sequence

from nas_space.architecture import InvalidArchitectureError
from nas_space.cli import run
from nas_space.spaces import UnknownSpaceError
from searchers.arguments import read
from searchers.cluster import Cluster, ClusterError
from searchers.limits import ImpossibleLimitError
from searchers.question import ask
from searchers.rungs import InvalidRungsError
from searchers.samplers import UnknownSamplerError
from trainers.data import DatasetError
from trainers.recipes import UnknownRecipeError

_BAD_INPUT = (
    ClusterError,
    DatasetError,
    ImpossibleLimitError,
    InvalidArchitectureError,
    InvalidRungsError,
    UnknownRecipeError,
    UnknownSamplerError,
    UnknownSpaceError,
)


def command(argv: Sequence[str]) -> int:
    """Parse the arguments and run the search; the exit code."""
    return run(lambda: _command(argv), *_BAD_INPUT)


def _command(argv: Sequence[str]) -> int:
    settings = read(argv)
    question = ask(settings)
    with Cluster(settings.wishes, verbose=settings.verbose) as cluster:
        from searchers import session  # noqa: PLC0415 - seconds, while the cluster starts

        return run(
            lambda: session.session(settings, question, cluster), *_BAD_INPUT, *session.BAD_INPUT
        )
