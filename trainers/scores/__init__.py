"""Zero-cost scores: what is said of a network before it is trained, from a batch or two.

Each is a file, with its paper. They are predictors to be tested, not measures of accuracy:
`studies.analysis.rank_correlation` compares them with parameters and MACs, which cost nothing.
"""

from collections.abc import Callable, Mapping

from nas_space.errors import ConvnasError
from nas_space.registry import Registry, imported
from trainers.scores.base import Score, score

__all__ = ["SCORES", "Score", "UnknownScoreError", "score", "scores"]


class UnknownScoreError(ConvnasError):
    """A name that belongs to no zero-cost score."""


_OURS = {
    "grad-norm": "trainers.scores.grad_norm:GradNorm",
    "naswot": "trainers.scores.naswot:Naswot",
    "snip": "trainers.scores.snip:Snip",
    "synflow": "trainers.scores.synflow:Synflow",
    "zen": "trainers.scores.zen:Zen",
    "zico": "trainers.scores.zico:Zico",
}

SCORES: Registry[Callable[[], Score]] = Registry(
    "score",
    UnknownScoreError,
    found=lambda: (imported(name, path) for name, path in _OURS.items()),
)
"""What makes each score, by the score's name."""


def scores() -> Mapping[str, Score]:
    """Every score by its name."""
    return {name: make() for name, make in SCORES.all().items()}
