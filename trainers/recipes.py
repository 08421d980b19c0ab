"""How a network is trained, as values."""

from dataclasses import asdict, dataclass

from nas_space.errors import ConvnasError
from nas_space.registry import Registry, given


class UnknownRecipeError(ConvnasError):
    """A name that belongs to no recipe."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum and a one-cycle learning rate.

    Attributes:
        name: as users type it.
        epochs: passes over the training images.
        batch_size: most images a step; see `batch`.
        peak_lr: highest learning rate, reached after `warmup` and falling to 0 at the end.
        warmup: share of all steps that the learning rate climbs for.
        momentum: of SGD.
        weight_decay: of weights and BatchNorm parameters alike, as the IGC authors do.
        label_smoothing: share of the target that is spread over all classes.
        shift: random shifts, up to this share of the image's side.
    """

    name: str
    epochs: int
    batch_size: int
    peak_lr: float
    warmup: float
    momentum: float
    weight_decay: float
    label_smoothing: float
    shift: float

    def batch(self, count: int) -> int:
        """Images a step for that many training images.

        Smaller than `batch_size` where an epoch would have fewer than 16 steps, but for the
        smallest sets: 64 for the 1,151 digits, whose networks otherwise hardly move in 6 epochs.
        """
        return max(min(self.batch_size, count // 16 // 16 * 16), min(16, count))

    def to_json(self) -> dict[str, str | int | float]:
        """The recipe as plain numbers, for the record."""
        return asdict(self)


_OURS = (
    # quick ranks candidates; its few epochs want a high learning rate and little regularisation.
    Recipe("quick", 6, 128, 0.1, 0.25, 0.9, 5e-4, 0.0, 1 / 8),
    Recipe("full", 60, 128, 0.1, 0.1, 0.9, 5e-4, 0.1, 1 / 8),
)


RECIPES: Registry[Recipe] = Registry(
    "recipe",
    UnknownRecipeError,
    found=lambda: (given(recipe.name, recipe, __name__) for recipe in _OURS),
)
"""The recipes by name: ``quick`` for searching, ``full`` for the winner."""
