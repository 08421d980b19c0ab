"""What a network has and does, counted layer by layer as a forward pass meets the layers."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_LAYERS = (nn.Conv2d, nn.Conv3d, nn.Linear)
_PASSED = (_BatchNorm, nn.ReLU)


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A convolution or linear layer where it stands.

    Attributes:
        name: its path in the module.
        what: kind, kernel, stride and groups, as people write them.
        c_in: input channels.
        c_out: output channels.
        size: of its output map; empty for a linear layer.
        params: weights and biases.
        biases: how many of the parameters are biases.
        macs: multiply-adds for one input.
    """

    name: str
    what: str
    c_in: int
    c_out: int
    size: tuple[int, ...]
    params: int
    biases: int
    macs: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of a network.

    Attributes:
        layers: convolutions and linear layers, in the order of the forward pass.
        params: trainable numbers.
        norm_params: those of normalisation layers.
        classifier_params: those of the last linear layer.
        biases: of convolutions and linear layers.
        macs: multiply-adds of convolutions and linear layers for one input; the papers' FLOPs.
    """

    layers: tuple[LayerCost, ...]
    params: int
    norm_params: int
    classifier_params: int
    biases: int
    macs: int


def measure(module: nn.Module, shape: tuple[int, ...]) -> Counts:
    """Run one input of that shape through a module, on its own device, and count.

    A module on the device ``meta`` is counted without computing anything.
    """
    layers: list[LayerCost] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            layers.append(_cost(name, layer, output))

        return hook

    hooks = [
        part.register_forward_hook(watch(name))
        for name, part in module.named_modules()
        if isinstance(part, _LAYERS)
    ]
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    device = next(module.parameters()).device
    try:
        with (
            torch.no_grad(),
            _passing(part for part in module.modules() if isinstance(part, _PASSED)),
        ):
            module(torch.zeros(1, *shape, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return Counts(
        layers=tuple(layers),
        params=sum(p.numel() for p in module.parameters()),
        norm_params=sum(p.numel() for norm in norms for p in norm.parameters()),
        classifier_params=layers[-1].params if layers[-1].what == "linear" else 0,
        biases=sum(layer.biases for layer in layers),
        macs=sum(layer.macs for layer in layers),
    )


@contextlib.contextmanager
def _passing(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let them hand their input on: they keep shapes, and without memory take most of the time."""
    passed = tuple(modules)
    for module in passed:
        module.forward = _same
    try:
        yield
    finally:
        for module in passed:
            del module.forward


def _same(x: Tensor) -> Tensor:
    return x


def _cost(name: str, layer: nn.Module, output: Tensor) -> LayerCost:
    weight, bias = layer.get_parameter("weight"), getattr(layer, "bias", None)
    biases = 0 if bias is None else bias.numel()
    # Every output value is one dot product with a slice of the weight along its first axis.
    macs = output.numel() * (weight.numel() // weight.shape[0])
    groups = getattr(layer, "groups", 1)
    return LayerCost(
        name=name,
        what=_describe(layer),
        c_in=weight.shape[1] * groups,
        c_out=weight.shape[0],
        size=tuple(output.shape[2:]),
        params=weight.numel() + biases,
        biases=biases,
        macs=macs,
    )


def _describe(layer: nn.Module) -> str:
    if not isinstance(layer, nn.Conv2d | nn.Conv3d):
        return "linear"
    parts = ["×".join(map(str, layer.kernel_size))]
    if max(layer.stride) > 1:
        strides = set(layer.stride)
        stride = strides.pop() if len(strides) == 1 else "×".join(map(str, layer.stride))
        parts.append(f"stride {stride}")
    if layer.groups == layer.in_channels > 1:
        parts.append("depthwise")
    elif layer.groups > 1:
        parts.append(f"{layer.groups} groups")
    return ", ".join(parts)
