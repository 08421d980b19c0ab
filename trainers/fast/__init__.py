"""Training any network faster on a CPU: a pass over its modules, which computes the same function.

`for_training` knows convolutions, dense and in groups, chains of interleaved group convolutions,
octave convolutions, and batch normalisation with the addition and the ReLU behind it. Kernels in C
compute them (`trainers.fast.kernels`), each where a measured table says that it pays
(`trainers.fast.table`). All else stays torch's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from nas_space.layers.octave import OctConv2d
from trainers.fast.algorithms import convolve, is_plain_conv
from trainers.fast.blocks import with_fused_norms
from trainers.fast.norm import NormAct
from trainers.fast.octave import MergedOctave, halved
from trainers.fast.sequences import in_fewer_steps
from trainers.fast.sound import corrected, is_sound_in_torch
from trainers.fast.swapping import Attributes, Swapped, swapped

__all__ = ["for_training", "training"]

Forward = Callable[..., Any]


def for_training(module: nn.Module) -> nn.Module:
    """A second name of a module, whose training steps take less time.

    It is the same module, with the same parameters, hooks, modes and attributes. While it is called
    in training, or inside of ``with training(…)``, some of its parts have a faster forward, which
    gives the same outputs and gradients up to rounding. There is no second derivative.

    Returns the module itself on a GPU, or if it has no layer that the pass knows. With several
    threads only those convolutions have another forward that torch computes wrongly, see
    `trainers.fast.sound.is_sound_in_torch`.

    Args:
        module: any; on the device where it is trained.
    """
    tensors = [*module.parameters(), *module.buffers()]
    if not all(tensor.is_cpu for tensor in tensors):
        return module
    if isinstance(module, torch.jit.ScriptModule | Swapped):
        return module
    alone = torch.get_num_threads() == 1
    replace = _faster if alone else _sound
    parts: list[tuple[nn.Module, Attributes]] = [
        (part, {"forward": forward})
        for part in module.modules()
        if (forward := replace(part)) is not None
    ]
    if not parts:
        return module
    parts += [
        (part, {"halve": halved})
        for part in module.modules()
        if alone and isinstance(part, OctConv2d) and type(part).halve is OctConv2d.halve
    ]
    return swapped(module, parts)


@contextmanager
def training(module: nn.Module) -> Iterator[None]:
    """Forwards stay swapped inside, from a step's forward to the end of its backward.

    Inside, torch's faults in bfloat16 are avoided too, in layers and functions that the pass does
    not know (`trainers.fast.sound.corrected`).

    Args:
        module: what `for_training` returned.
    """
    with corrected(), module if isinstance(module, Swapped) else nullcontext():
        yield


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


def _sound(module: nn.Module) -> Forward | None:
    """A forward for a convolution that torch computes wrongly; None for all else."""
    if "forward" in vars(module) or hasattr(module, "parametrizations"):
        return None
    if not is_plain_conv(module):
        return None
    group_in = module.in_channels // module.groups
    sound = is_sound_in_torch(module.kernel_size[0], module.stride[0], group_in)
    return None if sound else _Convolution(module)


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
