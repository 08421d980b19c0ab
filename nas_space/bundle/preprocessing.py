"""What an exported network expects of an image, and what its outputs mean."""

import math
from dataclasses import dataclass
from typing import Any, Self

from nas_space.bundle.manifest import BundleError
from nas_space.pictures import BITS

_MAX_CHANNELS = 4096
_MAX_SIDE_PIXELS = 4096
_MAX_CLASSES = 100_000


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What the network expects of an image, and what its outputs mean.

    Attributes:
        shape: channels, height and width.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, likewise.
        classes: names, in the order of the logits.
        bits: that grey levels have in files of more than 8, see `nas_space.pictures`.
        earlier: whether files are read as before 2026-12, see there.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    bits: int = BITS
    earlier: bool = False

    @classmethod
    def from_json(cls, data: Any) -> Self:  # noqa: ANN401 - JSON
        """Read it back.

        Raises:
            BundleError: it has another form, or numbers that no image has.
        """
        try:
            channels, height, width = (int(side) for side in data["shape"])
            mean, std = (tuple(float(x) for x in data[name]) for name in ("mean", "std"))
            classes = tuple(str(name) for name in data["classes"])
            bits, earlier = int(data.get("bits", BITS)), bool(data.get("earlier", True))
        except (TypeError, KeyError, ValueError, OverflowError, AttributeError):
            raise BundleError("the task needs shape, mean, std and classes") from None
        if not 1 <= channels <= _MAX_CHANNELS or min(height, width) < 1:
            raise BundleError(f"the task's shape {channels, height, width} is none of an image")
        if max(height, width) > _MAX_SIDE_PIXELS or not 1 <= len(classes) <= _MAX_CLASSES:
            raise BundleError("the task's images or its classes are too many to be true")
        if {len(mean), len(std)} != {channels}:
            raise BundleError("the task's mean and std need one number for each channel")
        if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
            raise BundleError("the task's mean and std must be finite, and std above 0")
        if not 1 <= bits <= BITS:
            raise BundleError(f"the task's images cannot have {bits} bits")
        return cls((channels, height, width), mean, std, classes, bits, earlier)
