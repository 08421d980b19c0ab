"""How a network is trained, as values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from nas_space.errors import ConvnasError
from nas_space.registry import Registry, given

DEFAULT_METRIC = "accuracy"
NO_BALANCE, WEIGHTS, SAMPLING = BALANCES = ("none", "weights", "sampling")
"""Of classes of different sizes: every image counts alike, every class counts alike in the loss, or
every class is drawn as often."""


_SHARES = ("crop", "colour", "erasing", "ema", "resolution", "val_resolution")


class UnknownRecipeError(ConvnasError):
    """An unknown name of a recipe."""


class RecipeError(ConvnasError):
    """A recipe with a value that means nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum and a one-cycle learning rate.

    Attributes:
        name: as users type it.
        epochs: passes over the training images.
        batch_size: most images a step; see `batch`.
        peak_lr: highest learning rate, reached after `warmup` and falling to 0 at the end.
        warmup: share of all steps in which the learning rate rises.
        momentum: of SGD.
        weight_decay: of weights and of BatchNorm parameters, like the IGC authors.
        label_smoothing: share of the target that goes to all classes equally.
        shift: random shifts, up to this share of the image's side.
        lr_scales: whether steps of fewer images than `batch_size` have a learning rate that is
            smaller in proportion (Goyal et al., arXiv 1706.02677).
        metric: what is measured on the validation images, a name of `trainers.metrics.METRICS`.
        balance: what makes up for classes of different sizes, one of `BALANCES`.
        evaluate: a function of the user's own that trains instead, and gives a score in the place
            of accuracy, see `trainers.evaluators`; of all that is above it knows the epochs alone.
        crop: random parts of images are resized to the whole (arXiv 1409.4842), of at least this
            share of the area; 0 crops none.
        colour: brightness, contrast and saturation change by a factor from 1 - this to 1 + this.
        trivial: whether images are changed by TrivialAugment (arXiv 2103.10158).
        erasing: share of images of which a rectangle is erased (arXiv 1708.04896).
        mixup: α of mixing two images (arXiv 1710.09412); 0 mixes none.
        cutmix: α of pasting a part of another image (arXiv 1905.04899); with `mixup`, every batch
            has one of both.
        ema: share of the mean of all steps' weights that stays at a step; networks are measured and
            kept with that mean. 0 has none.
        decays_norms: whether weights of normalisation and biases decay.
        resolution: of training images, as a share of their side.
        val_resolution: the same of validation images. A network's costs are those of whole images.

    Raises:
        RecipeError: a share is not from 0 to 1, or an α is below 0.
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
    lr_scales: bool = False
    metric: str = DEFAULT_METRIC
    balance: str = NO_BALANCE
    evaluate: str | None = None
    crop: float = 0.0
    colour: float = 0.0
    trivial: bool = False
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    decays_norms: bool = True
    resolution: float = 1.0
    val_resolution: float = 1.0

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(
                    f"recipe {self.name}: {name} must be from 0 to 1, not {getattr(self, name)}"
                )
        if self.mixup < 0 or self.cutmix < 0:
            raise RecipeError(f"recipe {self.name}: mixup and cutmix must not be below 0")

    @property
    def augments(self) -> bool:
        """Whether it changes images by more than shifts."""
        changes = self.crop, self.colour, self.trivial, self.erasing, self.mixup, self.cutmix
        return any(changes)

    def batch(self, count: int) -> int:
        """Images per step, for that many training images.

        Smaller than `batch_size` if an epoch would have fewer than 16 steps, but at least 16 if
        there are so many images. The 1,151 digits get 64: with more, 6 epochs hardly train.
        """
        return max(min(self.batch_size, count // 16 // 16 * 16), min(16, count))

    def peak(self, images: int) -> float:
        """The highest learning rate, for steps of that many images."""
        return self.peak_lr * (images / self.batch_size if self.lr_scales else 1)

    def judged_by(self, path: str | None) -> Self:
        """The same epochs by a function of the user's own, whose name it has; None changes nothing.

        Args:
            path: see `evaluate`.
        """
        return self if path is None else replace(self, name=path, evaluate=path)

    def judging_as(self, stored: Mapping[str, Any]) -> Self:
        """The same, with classes balanced and networks judged as by a study's recipe.

        Args:
            stored: that recipe, which `to_json` wrote.
        """
        metric, balance = stored.get("metric", DEFAULT_METRIC), stored.get("balance", NO_BALANCE)
        return replace(self, metric=metric, balance=balance).judged_by(stored.get("evaluate"))

    def to_json(self) -> dict[str, str | int | float | None]:
        """The recipe as plain numbers, for the record.

        What the first recipes did not have is left out where it is as they had it.
        """
        fixed = {one.name for one in fields(self) if one.default == getattr(self, one.name)}
        return {name: value for name, value in asdict(self).items() if name not in fixed}


# quick ranks candidates; few epochs need a high learning rate and little regularisation.
_QUICK = Recipe("quick", 6, 128, 0.4, 0.25, 0.9, 5e-4, 0.0, 1 / 8, lr_scales=True)
_FULL = Recipe("full", 60, 128, 0.2, 0.1, 0.9, 5e-4, 0.1, 1 / 8, lr_scales=True)
_OURS = (
    _QUICK,
    _FULL,
    # What is usual for photographs. Not measured yet: docs/log.md.
    replace(_FULL, name="photo-full", shift=0.0, crop=0.35, colour=0.3),
    # As they were until 2026-11-30: studies go on with them.
    Recipe("quick@1", 6, 128, 0.1, 0.25, 0.9, 5e-4, 0.0, 1 / 8),
    Recipe("full@1", 60, 128, 0.1, 0.1, 0.9, 5e-4, 0.1, 1 / 8),
)


RECIPES: Registry[Recipe] = Registry(
    "recipe",
    UnknownRecipeError,
    found=lambda: (given(recipe.name, recipe, __name__) for recipe in _OURS),
)
"""The recipes by name: ``quick`` for a search, ``full`` for the winner."""

FOR_A_SEARCH = "quick"
FOR_THE_WINNER = "full"
"""The recipe of an export that is trained anew, and of a single network."""


def resolution_note(share: float) -> str:
    """What is said of trainings on images of that share of their side; nothing if it is 1."""
    return f", training images scaled to {share:.0%}" * (share != 1)


def recorded(stored: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a study under the name that it has now; None if no recipe is like that.

    Args:
        stored: its `Recipe.to_json`.
    """
    if stored.get("evaluate") is not None:  # it trains itself
        quick = RECIPES.get(FOR_A_SEARCH)
        return replace(quick.judged_by(stored["evaluate"]), epochs=stored["epochs"])
    for recipe in RECIPES.all().values():
        found = replace(recipe.judging_as(stored), epochs=stored["epochs"])
        # Names do not count: a recipe is renamed when another one takes its name.
        if {**found.to_json(), "name": None} == {**stored, "name": None}:
            return found
    return None
