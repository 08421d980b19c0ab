"""Rungs of epochs: most networks are trained a little, the best of them go on.

Successive halving without waiting (ASHA: Li et al., arXiv 1810.05934), with the best told by
non-dominated rank, as multi-objective ASHA does (Schmucker et al., arXiv 2106.12639): an order by
accuracy alone would never let a small network go on.

All of a training follows the learning rate of its full length, and a network that goes up continues
from its checkpoint. A partial accuracy is compared with those of its own rung only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nas_space.errors import ConvnasError
from studies.pareto.front import ranked

if TYPE_CHECKING:
    # The command line is read without a database.
    from studies.records.tables import Evaluation

REDUCTION = 3
"""Of this many networks on a rung, one goes up."""


class InvalidRungsError(ConvnasError):
    """Rungs that do not lead up to a full training."""


def ladder(epochs: int) -> tuple[int, ...]:
    """The rungs for trainings of this many epochs: each a third of the next, ascending."""
    rungs = [epochs]
    while rungs[0] >= REDUCTION:
        rungs.insert(0, round(rungs[0] / REDUCTION))
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
    """The networks on each rung, and which of them go on.

    Attributes:
        epochs: of each rung, ascending; the last is a full training.
    """

    epochs: tuple[int, ...]
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

    def learn(self, evaluations: "Iterable[Evaluation]") -> None:
        """Take in evaluations; those of other rungs than these are passed over."""
        for evaluation in evaluations:
            self.tell(
                evaluation.epochs,
                RungResult(evaluation.key, evaluation.val_accuracy, evaluation.cost),
                failed=evaluation.val_accuracy is None,
            )

    def tell(self, epochs: int, result: RungResult, *, failed: bool = False) -> None:
        """Take in how a network fared on a rung; one that failed goes nowhere."""
        if epochs in self._results and not failed:
            self._results[epochs][result.key] = result
        self.leave(result.key, epochs)

    def leave(self, key: str, epochs: int) -> None:
        """Note that a network is trained for this many epochs: it has left the rungs below."""
        for rung in self.epochs:
            if rung < epochs:
                self._gone[rung].add(key)

    def promotion(self) -> Promotion | None:
        """The network to go on next, from the highest rung that lets one go; None if none does."""
        for rung, above in self._steps():
            best = ranked(self._results[rung].values())
            for result in best[: len(best) // REDUCTION]:
                if result.key not in self._gone[rung]:
                    return Promotion(result.key, rung, above)
        return None

    def finish(self) -> Promotion | None:
        """The best network of those that have not gone on, whatever its share of the rung.

        For the end of a search, when only what is trained to the end counts.
        """
        for rung, above in self._steps():
            for result in ranked(self._results[rung].values()):
                if result.key not in self._gone[rung]:
                    return Promotion(result.key, rung, above)
        return None

    def _steps(self) -> list[tuple[int, int]]:
        """Each rung with the one above it, the highest first."""
        return list(zip(self.epochs[-2::-1], self.epochs[:0:-1], strict=True))
