"""Training any network faster on a CPU: a pass over its modules, which computes the same function.

`for_training` knows convolutions, dense and in groups, chains of interleaved group convolutions,
octave convolutions, and batch normalisation with the addition and the ReLU behind it. Kernels in C
compute them (`trainers.fast.kernels`), each where a measured table says that it pays
(`trainers.fast.table`). All else stays torch's.
"""

import types
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_space.layers.octave import OctConv2d
from trainers.fast.algorithms import convolve, is_plain_conv
from trainers.fast.blocks import with_fused_norms
from trainers.fast.norm import NormAct
from trainers.fast.octave import MergedOctave, halved
from trainers.fast.sequences import in_fewer_steps

__all__ = ["for_training"]

Forward = Callable[..., object]


def for_training(module: nn.Module) -> nn.Module:
    """A twin of a module whose training steps take less time.

    The twin has the same parameters and buffers, not copies of them: a step of the twin trains the
    module. Its forward gives the module's outputs and gradients, up to rounding, and in eval mode
    it is the module's own. Use the module itself for all but training steps. What a module keeps
    in plain Python attributes is not shared. A hook that is registered later may not be called.

    Returns the module itself on a GPU, with several threads, or if it has no layer that the pass
    knows.

    Args:
        module: any; on the device where it is trained.
    """
    tensors = [*module.parameters(), *module.buffers()]
    if torch.get_num_threads() > 1 or not all(tensor.is_cpu for tensor in tensors):
        return module
    twin = _twin(module, {})
    # A module with several names becomes one module of the twin.
    found = [(part, fast) for part in twin.modules() if (fast := _faster(part)) is not None]
    for part, forward in found:
        vars(part)["forward"] = forward
    for part in twin.modules():
        if isinstance(part, OctConv2d) and type(part).halve is OctConv2d.halve:
            vars(part)["halve"] = halved
    return twin if found else module


def _twin(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    """Copy the tree of modules; share parameters, buffers and all other attributes."""
    if module in done or isinstance(module, torch.jit.ScriptModule):
        return done.get(module, module)
    twin = done[module] = object.__new__(type(module))
    vars(twin).update(vars(module))
    own = vars(twin).get("forward")
    if isinstance(own, types.MethodType) and own.__self__ is module:
        vars(twin)["forward"] = types.MethodType(own.__func__, twin)
    children = module._modules.items()  # noqa: SLF001 - the tree itself
    vars(twin)["_modules"] = {
        name: None if child is None else _twin(child, done) for name, child in children
    }
    return twin


def _faster(module: nn.Module) -> Forward | None:
    """A forward for a module that takes less time in training; None if there is none."""
    if "forward" in vars(module) or hasattr(module, "parametrizations"):
        return None
    if is_plain_conv(module):
        return _Convolution(module)
    if MergedOctave.takes(module):
        return MergedOctave(module)
    if NormAct.takes(module):
        return NormAct(module, relu=False)
    return in_fewer_steps(module) or with_fused_norms(module)


class _Convolution:
    """The forward of a `torch.nn.Conv2d` by the fastest algorithm."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self._conv = conv

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        conv = self._conv
        if not conv.training:
            y: Tensor = nn.Conv2d.forward(conv, x)
            return y
        return convolve(x, conv.weight, conv.stride[0], conv.groups)
