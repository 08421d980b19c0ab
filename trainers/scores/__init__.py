"""Zero-cost scores: numbers for a network before training, from one or two batches.

Each has its own file, which names its paper. They are predictors to test, not measures of accuracy:
`studies.analysis.rank_correlation` compares them with parameters and MACs, which cost nothing.
"""

from collections.abc import Callable, Mapping

from nas_space.errors import ConvnasError
from nas_space.registry import Registry, imported
from trainers.scores.base import Score, score

__all__ = ["SCORES", "Score", "UnknownScoreError", "score", "scores"]


class UnknownScoreError(ConvnasError):
    """An unknown name of a zero-cost score."""


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
"""The classes of the scores, by the score's name."""


def scores() -> Mapping[str, Score]:
    """Every score by its name."""
    return {name: make() for name, make in SCORES.all().items()}
