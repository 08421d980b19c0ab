"""Rungs of epochs: all networks are trained a little, and only the best of them longer.

This is successive halving without waiting (ASHA: Li et al., arXiv 1810.05934). The best are those
of the first non-dominated ranks, as in multi-objective ASHA (Schmucker et al., arXiv 2106.12639):
by accuracy alone, a small network would never go up.

Every training has the learning rates of a full one, and a network that goes up continues from its
checkpoint. A partial accuracy is compared only with others of its rung.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nas_space.errors import ConvnasError
from studies.pareto.front import ranked

if TYPE_CHECKING:
    # Reading the command line must not import the database.
    from studies.records.tables import Evaluation

REDUCTION = 3
"""Of this many networks on a rung, one goes up."""


class InvalidRungsError(ConvnasError):
    """Rungs that do not ascend to a full training."""


def ladder(epochs: int, warmup: float = 0.0) -> tuple[int, ...]:
    """The rungs for trainings of this many epochs: each a third of the next, ascending.

    Args:
        epochs: of a full training.
        warmup: share of it in which the learning rate still rises. No rung is there: who learns
            fast at first is not who ends best (docs/results/search.md).
    """
    rungs = [epochs]
    while rungs[0] >= REDUCTION and (below := round(rungs[0] / REDUCTION)) >= warmup * epochs:
        rungs.insert(0, below)
    return tuple(rungs)


def check(rungs: Sequence[int], epochs: int) -> None:
    """Raise InvalidRungsError unless the rungs ascend to the epochs of a full training."""
    if list(rungs) != sorted(set(rungs)) or rungs[-1] != epochs or rungs[0] < 1:
        raise InvalidRungsError(
            f"--rungs {','.join(map(str, rungs))} must ascend to the {epochs} epochs of a full "
            f"training, like {','.join(map(str, ladder(epochs)))}"
        )


@dataclass(frozen=True, slots=True)
class RungResult:
    """How a network did on a rung.

    Attributes:
        key: of its architecture.
        val_accuracy: after the rung's epochs.
        cost: what the study makes small.
    """

    key: str
    val_accuracy: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Promotion:
    """A network that goes up from one rung to the next, in epochs."""

    key: str
    start: int
    epochs: int


@dataclass(slots=True)
class Rungs:
    """The results on each rung, and which networks go up.

    Attributes:
        epochs: of each rung, ascending; the last is a full training.
        place: of a cost, on an axis where every unit deserves the same attention.
        judged: a cost as networks are compared by it.
    """

    epochs: tuple[int, ...]
    place: Callable[[float], float] = math.log2
    judged: Callable[[float], float] = float
    _results: dict[int, dict[str, RungResult]] = field(default_factory=dict)
    _gone: dict[int, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """No rung has a result yet."""
        self._results = {rung: {} for rung in self.epochs}
        self._gone = {rung: set() for rung in self.epochs}

    @property
    def first(self) -> int:
        """Epochs of the lowest rung."""
        return self.epochs[0]

    @property
    def full(self) -> int:
        """Epochs of a full training."""
        return self.epochs[-1]

    @property
    def complete(self) -> Iterable[RungResult]:
        """The results of full trainings."""
        return self._results[self.full].values()

    def learn(self, evaluations: "Iterable[Evaluation]") -> None:
        """Learn evaluations; those that are on none of these rungs are ignored."""
        for evaluation in evaluations:
            self.tell(
                evaluation.epochs,
                RungResult(evaluation.key, evaluation.val_accuracy, evaluation.cost),
                failed=evaluation.val_accuracy is None,
            )

    def tell(self, epochs: int, result: RungResult, *, failed: bool = False) -> None:
        """Add a result on a rung; a network that failed goes nowhere."""
        if epochs in self._results and not failed:
            self._results[epochs][result.key] = replace(result, cost=self.judged(result.cost))
        self.leave(result.key, epochs)

    def leave(self, key: str, epochs: int) -> None:
        """Note that a network trains for this many epochs: it has left all lower rungs."""
        for rung in self.epochs:
            if rung < epochs:
                self._gone[rung].add(key)

    def promotion(self) -> Promotion | None:
        """The next network to go up, from the highest rung that has one; None if no rung has."""
        for rung, above in self._steps():
            best = ranked(self._results[rung].values())
            waiting = [
                result
                for result in best[: len(best) // REDUCTION]
                if result.key not in self._gone[rung]
            ]
            if waiting:
                gone = Counter(
                    self._octave(result.cost) for result in best if result.key in self._gone[rung]
                )
                # Each octave of costs gets its turn; in one, the better ranks come first.
                chosen = min(waiting, key=lambda result: gone[self._octave(result.cost)])
                return Promotion(chosen.key, rung, above)
        return None

    def _octave(self, cost: float) -> int:
        """A factor of two in costs, or an equal share of the search's attention."""
        return math.floor(self.place(cost))

    def finish(self) -> Promotion | None:
        """The best network that has not gone up, even if it is not in the best third of its rung.

        For the end of a search, when only full trainings count.
        """
        for rung, above in self._steps():
            for result in ranked(self._results[rung].values()):
                if result.key not in self._gone[rung]:
                    return Promotion(result.key, rung, above)
        return None

    def _steps(self) -> list[tuple[int, int]]:
        """Each rung with the one above it, the highest first."""
        return list(zip(self.epochs[-2::-1], self.epochs[:0:-1], strict=True))
