"""Parameters and MACs of any module, by thop: another count than torch's own."""

import copy
import warnings

import torch
from torch import Tensor, nn

from nas_space.costs.cost import Cost

_COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def thop_count(module: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Cost of any module for one input of that shape (without the batch), measured by thop.

    The module itself is not changed: thop leaves buffers, hooks and modes behind, and gets a copy.
    By default thop also counts normalisation and pooling, and misses subclasses of the layers that
    it knows; the handlers here count what the papers count.
    """
    with warnings.catch_warnings():
        # A warning of setuptools about how thop compares versions.
        warnings.simplefilter("ignore", DeprecationWarning)
        import thop  # noqa: PLC0415 - half a second, needed only here

    like = next(module.parameters(), torch.zeros(()))
    double = copy.deepcopy(module)
    kinds = {type(part) for part in double.modules() if not list(part.children())}
    handlers = {k: _count_layer if issubclass(k, _COUNTED) else _count_nothing for k in kinds}
    images = torch.zeros(1, *shape, device=like.device, dtype=like.dtype)
    macs, _ = thop.profile(double, (images,), custom_ops=handlers, verbose=False)
    return Cost(sum(p.numel() for p in module.parameters()), int(macs))


def _count_layer(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
    # Every output value is a dot product with one slice of the weight along its first axis.
    weight = layer.weight
    assert isinstance(weight, Tensor)  # noqa: S101 - a layer of `_COUNTED`
    per_value = weight.numel() // weight.shape[0]
    layer.get_buffer("total_ops").add_(output.numel() // output.shape[0] * per_value)


def _count_nothing(_layer: nn.Module, _inputs: tuple[Tensor, ...], _output: Tensor) -> None:
    pass
