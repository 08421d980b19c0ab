"""Batch normalisation and biases, merged into the convolutions before them.

In eval mode it is y = scale · x + shift for each channel, and a convolution is linear. Additions,
pooling and upsampling are linear too: through them it reaches the convolutions before.
"""

import operator

import torch
from torch import Tensor, fx, nn

from nas_space.inference.tracing import alone, called, layer, order
from nas_space.layers.octave import Octave, OctConv2d, pool, upsample

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add_")


def absorb_norms(graph_module: fx.GraphModule) -> None:
    """Remove every normalisation and added bias whose input comes from convolutions linearly."""
    for node in list(graph_module.graph.nodes):
        norm = layer(graph_module, node)
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            if _linear(graph_module, node.args[0]):
                _scale(graph_module, node.args[0], *affine(norm))
                node.replace_all_uses_with(node.args[0])
                graph_module.graph.erase_node(node)
        elif called(node, *_ADDITIONS) and len(node.args) > 1:
            bias = _bias(graph_module, node.args[1])
            if bias is not None and _linear(graph_module, node.args[0]):
                _scale(graph_module, node.args[0], torch.ones_like(bias), bias)
                node.replace_all_uses_with(node.args[0])
                graph_module.graph.erase_node(node)


def _bias(graph_module: fx.GraphModule, node: object) -> Tensor | None:
    """The values (C,) of a parameter that is added to each channel, as `Biased` does."""
    if not (called(node, "view") and isinstance(node, fx.Node) and node.args[1:] == (-1, 1, 1)):
        return None
    values = node.args[0]
    if not isinstance(values, fx.Node) or values.op != "get_attr":
        return None
    return graph_module.get_parameter(str(values.target)).detach().double()


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) of a normalisation in eval mode; computed in double precision."""
    assert norm.running_mean is not None  # noqa: S101 - the caller has checked it
    assert norm.running_var is not None  # noqa: S101
    mean, var = norm.running_mean.double(), norm.running_var.double()
    scale = (var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


def _linear(graph_module: fx.GraphModule, node: object) -> bool:
    """Whether all that leads to a node leads only to it, is linear, and begins with weights."""
    if not isinstance(node, fx.Node) or not alone(node):
        return False
    found = layer(graph_module, node)
    if isinstance(found, nn.Conv2d | Octave):
        return True
    if isinstance(found, nn.ChannelShuffle) or called(node, pool, upsample):
        return _linear(graph_module, node.args[0])
    return (
        called(node, *_ADDITIONS)
        and len(node.args) > 1
        and all(_linear(graph_module, part) for part in node.args)
    )


def _scale(graph_module: fx.GraphModule, node: object, scale: Tensor, shift: Tensor) -> None:
    """Change the weights before a node, for which `_linear` holds, to get ``scale · y + shift``."""
    assert isinstance(node, fx.Node)  # noqa: S101 - as `_linear` saw
    found = layer(graph_module, node)
    if found is not None and not isinstance(found, nn.ChannelShuffle):
        _scale_layer(found, scale, shift)
    elif isinstance(found, nn.ChannelShuffle):
        back = order(found, len(scale)).argsort()
        _scale(graph_module, node.args[0], scale[back], shift[back])
    elif called(node, *_ADDITIONS):
        first, second = node.args
        _scale(graph_module, first, scale, shift)
        _scale(graph_module, second, scale, torch.zeros_like(shift))
    else:
        _scale(graph_module, node.args[0], scale, shift)


def _scale_layer(module: nn.Module, scale: Tensor, shift: Tensor) -> None:
    """The same for a module that has weights."""
    if isinstance(module, Octave):
        high = _width(module.conv, "h")
        _scale_octave(module.conv, "h", scale[:high], shift[:high])
        _scale_octave(module.conv, "l", scale[high:], shift[high:])
    else:
        assert isinstance(module, nn.Conv2d)  # noqa: S101 - as `_linear` saw
        weight = module.weight.detach()
        bias = 0 if module.bias is None else module.bias.detach().double()
        scaled = weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))
        module.weight = nn.Parameter(scaled.to(weight.dtype))
        module.bias = nn.Parameter((scale * bias + shift).to(weight.dtype))


def _paths(conv: OctConv2d, target: str) -> list[nn.Module]:
    """The paths of an octave convolution to a frequency, ``h`` or ``l``."""
    paths = {"h": (conv.h2h, conv.l2h), "l": (conv.h2l, conv.l2l)}
    return [path for path in paths[target] if path is not None]


def _width(conv: OctConv2d, target: str) -> int:
    return next((len(path.get_parameter("weight")) for path in _paths(conv, target)), 0)


def _scale_octave(conv: OctConv2d, target: str, scale: Tensor, shift: Tensor) -> None:
    for path in _paths(conv, target):
        _scale_layer(path, scale, shift)
        shift = torch.zeros_like(shift)  # once is enough
