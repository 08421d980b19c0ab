"""A network of an export in int8: made, and measured beside the same network in float32.

All that is chosen is chosen on training and validation images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_space.bundle import Compared, Int8
from nas_space.bundle.forms import onnx_model
from nas_space.bundle.int8 import Pixels, layers, prepared, quantised
from nas_space.cli import counted
from nas_space.waiting import waiting
from studies.cli import CommandError
from trainers.data.splits import Images, SearchData
from trainers.intervals import paired
from trainers.latency import in_turns
from trainers.machine import multiplies_int8, processor

CALIBRATION = 512
"""Training images that give the ranges, at most."""
ALLOWED = 0.01
"""Loss of validation accuracy that is allowed by default."""
MOST_LEFT = 4
"""Layers that are left in float32 at most, where int8 loses too much."""
_FEW = 64
"""Images that the harm of a layer is measured of."""
_SEED = 20190410
_AT_ONCE = 50

_NO_VNNI = " without VNNI or AMX, which would make int8 faster"

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Quantised:
    """A network in int8.

    Attributes:
        content: of its ONNX file.
        fp32: content of the ONNX file in float32.
        left: layers that stay in float32.
        calibration: how many training images gave the ranges.
        validation: accuracies on the validation images.
        allowed: loss of validation accuracy that is allowed, 0 to 1.
    """

    content: bytes
    fp32: bytes
    left: tuple[str, ...]
    calibration: int
    validation: Compared
    allowed: float

    def measured(self, test: Images, shape: tuple[int, int, int]) -> Int8:
        """All that the record keeps; the test images change nothing about the network."""
        small, large = onnx_model.opened(self.content), onnx_model.opened(self.fp32)
        image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
        fast, slow = in_turns([lambda: small(image), lambda: large(image)])
        return Int8(
            self.validation,
            compared(_right(large, test), _right(small, test)),
            self.calibration,
            self.left,
            self.allowed,
            len(self.fp32),
            len(self.content),
            slow.median,
            fast.median,
            f"1 thread of {processor()}{_NO_VNNI * (multiplies_int8() is False)}, {_runtime()}",
        )


def quantise(model: bytes, basis: bytes, data: SearchData, allowed: float = ALLOWED) -> Quantised:
    """A network in int8 that loses at most so much, if leaving a few layers in float32 does it.

    Args:
        model: content of the ONNX file in float32.
        basis: the same network with the layers that are fastest in int8.
        data: its training images give the ranges; on its validation images the loss is measured.
        allowed: see `Compared.loses_more_than`.
    """
    with waiting("writing it in int8"):
        ready, images = prepared(basis), sample(data.train, CALIBRATION)
        fp32 = _right(onnx_model.opened(model), data.val)

        def made(left: tuple[str, ...]) -> Quantised:
            content = quantised(ready, images, left)
            int8 = _right(onnx_model.opened(content), data.val)
            return Quantised(content, model, left, len(images), compared(fp32, int8), allowed)

        best = made(())
        if not best.validation.loses_more_than(allowed):
            return best
    with waiting("measuring which layers int8 harms"):
        worst = most_harmed(ready, images[:_FEW])[:MOST_LEFT]
        for count in range(1, len(worst) + 1):
            found = made(tuple(worst[:count]))
            if found.validation.int8 > best.validation.int8:
                best = found
            if not found.validation.loses_more_than(allowed):
                return found
    return best


def most_harmed(ready: bytes, images: Pixels) -> list[str]:
    """The layers with weights, those first that change the logits most as the only one in int8.

    Args:
        ready: see `nas_space.bundle.int8.prepared`.
        images: that ranges and logits are of.
    """
    names = list(layers(ready))
    given = torch.from_numpy(images)
    logits = onnx_model.opened(ready)(given)

    def harm(name: str) -> float:
        alone = quantised(ready, images, [other for other in names if other != name])
        return float((onnx_model.opened(alone)(given) - logits).square().mean())

    return sorted(names, key=harm, reverse=True)


def sample(images: Images, count: int) -> Pixels:
    """Some of the images, always the same, as a network takes them: (N, C, H, W), 0 to 1."""
    chosen = np.random.default_rng(_SEED).permutation(len(images))[:count]
    return _scaled(images.pixels[np.sort(chosen)])


def compared(fp32: NDArray[np.bool_], int8: NDArray[np.bool_]) -> Compared:
    """Which images are classified right in float32 and in int8, as accuracies."""
    lost, won = int((fp32 & ~int8).sum()), int((int8 & ~fp32).sum())
    low, high = paired(lost, won, len(fp32))
    return Compared(float(fp32.mean()), float(int8.mean()), len(fp32), low, high)


def refuse_or_warn(made: Quantised, *, required: bool) -> str | None:
    """A line about a network that loses too much in int8; None if it does not.

    Raises:
        CommandError: it does, and int8 is required.
    """
    validation = made.validation
    if not validation.loses_more_than(made.allowed):
        return None
    left = f" with {counted(len(made.left), 'layer')} in float32" if made.left else ""
    line = (
        f"int8 loses {100 * validation.lost:.2f} points of validation accuracy{left} "
        f"({validation.fp32:.2%} to {validation.int8:.2%}), more than "
        f"{100 * made.allowed:g}"
    )
    if required:
        raise CommandError(
            f"{line}: choose another network, allow more with --int8-loss, or leave --int8 out"
        )
    return line


def _right(run: Run, images: Images) -> NDArray[np.bool_]:
    """Which images are classified right."""
    answers = [
        run(torch.from_numpy(_scaled(images.pixels[start : start + _AT_ONCE]))).argmax(dim=1)
        for start in range(0, len(images), _AT_ONCE)
    ]
    right: NDArray[np.bool_] = torch.cat(answers).numpy() == images.labels
    return right


def _scaled(pixels: NDArray[np.uint8]) -> Pixels:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)


def _runtime() -> str:
    import onnxruntime  # noqa: PLC0415 - an export alone needs it

    return f"onnxruntime {onnxruntime.__version__}"
