"""What a network costs: parameters, and multiply-adds (MACs) per image.

MACs are those of convolutions and linear layers, which is what the papers print as FLOPs.
Normalisation, activations, pooling and additions count nothing. `predict` is the closed form
that a search uses (microseconds); `count` measures any module with thop, as the cross-check.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_space.architecture import Architecture
from nas_space.convs.base import Size

_COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is for: images (channels, height, width) and a number of classes."""

    channels: int
    size: Size
    classes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Attributes: params, the number of trainable numbers; macs, multiply-adds per image."""

    params: int
    macs: int


def predict(architecture: Architecture, task: Task) -> Cost:
    """Cost of the network that `build` would make, in closed form."""
    width = architecture.stages[-1].width
    params = macs = width * task.classes
    params += task.classes
    shortcuts = {s.name.removesuffix("shortcut"): s for s in architecture.shortcuts()}
    for layer, size in architecture.sizes(task.size):
        here = [layer]
        if layer.name.endswith("conv1"):
            here += filter(None, [shortcuts.get(layer.name.removesuffix("conv1"))])
        for part in here:
            c_in = task.channels if part.c_in is None else part.c_in
            params += part.conv.params(c_in, part.c_out) + 2 * part.c_out  # BN's gamma and beta
            macs += part.conv.macs(c_in, part.c_out, size, part.stride)
    return Cost(params, macs)


def count(module: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Cost of any module for one input of that shape (without the batch), measured by thop.

    The module itself is not touched: thop leaves buffers, hooks and modes behind, so it is given
    a copy. thop by itself counts normalisation and pooling as well, and misses subclasses of the
    layers it knows; the handlers here count what the papers count.
    """
    import thop  # noqa: PLC0415 - half a second that only this function needs

    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    double = copy.deepcopy(module)
    kinds = {type(part) for part in double.modules() if not list(part.children())}
    handlers = {k: _count_layer if issubclass(k, _COUNTED) else _count_nothing for k in kinds}
    images = torch.zeros(1, *shape, device=device)
    macs, _ = thop.profile(double, (images,), custom_ops=handlers, verbose=False)
    return Cost(sum(p.numel() for p in module.parameters()), int(macs))


def _count_layer(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
    # Every output value is one dot product with a slice of the weight along its first axis.
    weight = layer.get_parameter("weight")
    per_value = weight.numel() // weight.shape[0]
    layer.get_buffer("total_ops").add_(output.numel() // output.shape[0] * per_value)


def _count_nothing(_layer: nn.Module, _inputs: tuple[Tensor, ...], _output: Tensor) -> None:
    pass
