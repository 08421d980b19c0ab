"""Zero-cost scores: what is said of a network before it is trained, from a batch or two.

Each is a file, with its paper. They are evidence to be checked, not measures of accuracy:
`studies.evidence` compares them with the parameters and MACs that cost nothing at all.
"""

from collections.abc import Mapping

from trainers.scores.base import Score, score
from trainers.scores.grad_norm import GradNorm
from trainers.scores.naswot import Naswot
from trainers.scores.snip import Snip
from trainers.scores.synflow import Synflow
from trainers.scores.zen import Zen
from trainers.scores.zico import Zico

__all__ = ["Score", "score", "scores"]


def scores() -> Mapping[str, Score]:
    """Every score by its name."""
    known = (GradNorm(), Naswot(), Snip(), Synflow(), Zen(), Zico())
    return {known_score.name: known_score for known_score in known}
