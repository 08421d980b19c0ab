"""What was measured of an exported network, for programs; its model card tells people."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from nas_space.bundle.manifest import BundleError
from nas_space.devices import Use


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
class Compared:
    """The accuracies of one network in float32 and in int8, in ONNX Runtime, on the same images.

    Attributes:
        fp32: share of the images that were classified right in float32, 0 to 1.
        int8: the same in int8.
        images: how many there were.
        low: lower end of the 95 % interval of int8 minus float32, of images in pairs.
        high: its upper end.
    """

    fp32: float
    int8: float
    images: int
    low: float
    high: float

    @property
    def lost(self) -> float:
        """What int8 loses, 0 to 1; below 0 if it gains."""
        return self.fp32 - self.int8

    def loses_more_than(self, allowed: float) -> bool:
        """Whether int8 loses more than that share, and more than chance explains."""
        return self.lost > allowed and self.high < 0


@dataclass(frozen=True, slots=True)
class Int8:
    """What was measured of a network in int8 beside the same in float32, in ONNX Runtime.

    Attributes:
        validation: accuracies on the validation images.
        test: accuracies on the test images.
        calibration: how many training images gave the ranges of the maps.
        fp32_layers: layers that stay in float32.
        allowed: loss of validation accuracy that is allowed, 0 to 1.
        fp32_bytes: size of the file in float32.
        int8_bytes: size of the file in int8.
        fp32_seconds: median time of an image, on one thread, in float32.
        int8_seconds: the same in int8; the two were timed in turns.
        hardware: that they were timed on.
    """

    validation: Compared
    test: Compared
    calibration: int
    fp32_layers: tuple[str, ...]
    allowed: float
    fp32_bytes: int
    int8_bytes: int
    fp32_seconds: float
    int8_seconds: float
    hardware: str

    @property
    def loses_too_much(self) -> bool:
        """Whether int8 loses more validation accuracy than allowed, and more than by chance."""
        return self.validation.loses_more_than(self.allowed)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether the network fits a device, counted on its ONNX file by the device's profile.

    Attributes:
        device: its name, what it is, and its runtime.
        file: that was counted.
        as_int8: whether that file is in fp32 and was counted as it would be in int8.
        uses: of each memory that is limited.
        obstacles: what the network needs and the runtime has not; empty if it has all.
    """

    device: str
    file: str
    as_int8: bool
    uses: tuple[Use, ...]
    obstacles: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the device has all that the network needs."""
        return not self.obstacles and all(use.fits for use in self.uses)


@dataclass(frozen=True, slots=True)
class Record:
    """The accuracies of one architecture, which are never to be mixed up.

    Attributes:
        search: on the validation images, of the weights that the search trained: a proxy.
        validation: on the validation images, of the exported weights.
        test: on the test images, of the exported weights.
        int8: of the same network in int8; None if it was not made.
        device: whether it fits one; None if none was named.
    """

    search: Measured
    validation: Measured
    test: Measured
    int8: Int8 | None = None
    device: Fit | None = None

    def to_json(self) -> dict[str, object]:
        """As plain dicts."""
        data = asdict(self)
        if self.int8 is None:
            del data["int8"]
        if self.device is None:
            del data["device"]
        else:
            data["device"]["fits"] = self.device.fits
        return data

    @classmethod
    def from_json(cls, data: Any) -> Self:  # noqa: ANN401 - JSON
        """Read it back.

        Raises:
            BundleError: it has another form.
        """
        try:
            search, validation, test = (
                _measured(data[name]) for name in ("search", "validation", "test")
            )
            int8, device = data.get("int8"), data.get("device")
            return cls(
                search,
                validation,
                test,
                None if int8 is None else _int8(int8),
                None if device is None else _fit(device),
            )
        except (TypeError, KeyError, ValueError, OverflowError, AttributeError):
            raise BundleError("the record needs search, validation and test") from None


def _measured(data: Any) -> Measured:  # noqa: ANN401 - JSON
    accuracy, balanced = float(data["accuracy"]), data.get("balanced")
    if balanced is not None:
        balanced = float(balanced)
    if not (math.isfinite(accuracy) and math.isfinite(balanced or 0.0)):
        raise ValueError(accuracy)
    numbers = (int(data["images"]), str(data["recipe"]), int(data["epochs"]), int(data["seed"]))
    return Measured(accuracy, *numbers, balanced, str(data.get("metric", "accuracy")))


def _int8(data: Any) -> Int8:  # noqa: ANN401 - JSON
    validation, test = (_compared(data[name]) for name in ("validation", "test"))
    layers = tuple(str(name) for name in data["fp32_layers"])
    return Int8(
        validation,
        test,
        int(data["calibration"]),
        layers,
        _finite(data["allowed"]),
        int(data["fp32_bytes"]),
        int(data["int8_bytes"]),
        _finite(data["fp32_seconds"]),
        _finite(data["int8_seconds"]),
        str(data["hardware"]),
    )


def _fit(data: Any) -> Fit:  # noqa: ANN401 - JSON
    return Fit(
        str(data["device"]),
        str(data["file"]),
        bool(data["as_int8"]),
        tuple(Use(str(u["memory"]), int(u["taken"]), int(u["left"])) for u in data["uses"]),
        tuple(map(str, data["obstacles"])),
    )


def _compared(data: Any) -> Compared:  # noqa: ANN401 - JSON
    low, high = _finite(data["low"]), _finite(data["high"])
    return Compared(_finite(data["fp32"]), _finite(data["int8"]), int(data["images"]), low, high)


def _finite(data: Any) -> float:  # noqa: ANN401 - JSON
    number = float(data)
    if not math.isfinite(number):
        raise ValueError(number)
    return number
