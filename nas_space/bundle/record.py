"""What was measured of an exported network, for programs; its model card tells people."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from nas_space.bundle.manifest import BundleError


@dataclass(frozen=True, slots=True)
class Measured:
    """An accuracy and what it was measured on.

    Attributes:
        accuracy: share of the images that were classified right, 0 to 1.
        images: how many there were.
        recipe: that had trained the weights.
        epochs: of that training.
        seed: of that training.
        balanced: mean over the classes of that share; None if it is not known.
        metric: what `accuracy` is, if it is another number: see `trainers.metrics`.
    """

    accuracy: float
    images: int
    recipe: str
    epochs: int
    seed: int
    balanced: float | None = None
    metric: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Record:
    """The accuracies of one architecture, which are never to be mixed up.

    Attributes:
        search: on the validation images, of the weights that the search trained: a proxy.
        validation: on the validation images, of the exported weights.
        test: on the test images, of the exported weights.
    """

    search: Measured
    validation: Measured
    test: Measured

    def to_json(self) -> dict[str, object]:
        """As plain dicts."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Self:  # noqa: ANN401 - JSON
        """Read it back.

        Raises:
            BundleError: it has another form.
        """
        try:
            return cls(*(_measured(data[name]) for name in ("search", "validation", "test")))
        except (TypeError, KeyError, ValueError, OverflowError):
            raise BundleError("the record needs search, validation and test") from None


def _measured(data: Any) -> Measured:  # noqa: ANN401 - JSON
    accuracy, balanced = float(data["accuracy"]), data.get("balanced")
    if balanced is not None:
        balanced = float(balanced)
    if not (math.isfinite(accuracy) and math.isfinite(balanced or 0.0)):
        raise ValueError(accuracy)
    numbers = (int(data["images"]), str(data["recipe"]), int(data["epochs"]), int(data["seed"]))
    return Measured(accuracy, *numbers, balanced, str(data.get("metric", "accuracy")))
