"""Batch normalisation in training with the addition and the ReLU that follow it, at once.

They only read and write activations, and take time for it: 40 % of a step of ResNet-20 on batches
of 128 images of 32×32, 8 % where maps are small (docs/log.md).
"""

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.fast.kernels.norm import KERNELS, NormActFunction, Running


class NormAct:
    """``relu(norm(x) + residual)`` of a `torch.nn.BatchNorm2d`, by a kernel where it serves.

    Args:
        norm: whose parameters and statistics it uses and moves.
        relu: whether the ReLU is there.
    """

    __slots__ = ("_norm", "_relu")

    def __init__(self, norm: nn.BatchNorm2d, *, relu: bool) -> None:
        self._norm = norm
        self._relu = relu

    @staticmethod
    def takes(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
        """Whether a module is a normalisation that the kernel computes."""
        return (
            type(module) is nn.BatchNorm2d
            and module.momentum is not None
            and module.track_running_stats
            and KERNELS.exist()
            and _has_parts(module)
        )

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map x (N, C, H, W), and a residual of the same shape, to y of that shape.

        Raises:
            ValueError: x has another number of axes or, in training, one value a channel.
        """
        norm = self._norm
        mean, var, batches = norm.running_mean, norm.running_var, norm.num_batches_tracked
        if not (
            norm.training
            and (self._relu or residual is None)
            and _suits(x, residual, norm.num_features)
            and _has_parts(norm)
        ) or (mean is None or var is None or batches is None or norm.momentum is None):
            return self._plain(x, residual)
        running = Running(mean, var, batches, norm.momentum, norm.eps)
        y: Tensor = NormActFunction.apply(x, residual, norm.weight, norm.bias, running, self._relu)
        return y

    def _plain(self, x: Tensor, residual: Tensor | None) -> Tensor:
        y = nn.BatchNorm2d.forward(self._norm, x)
        if residual is not None:
            y = y + residual
        return F.relu(y) if self._relu else y


def _has_parts(norm: nn.BatchNorm2d) -> bool:
    """Whether the kernels take its parameters and statistics."""
    parts = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    kinds = (*((part, torch.float32) for part in parts), (norm.num_batches_tracked, torch.int64))
    return all(
        isinstance(part, Tensor) and part.is_cpu and part.dtype is dtype and part.is_contiguous()
        for part, dtype in kinds
    )


def _suits(x: Tensor, residual: object, channels: int) -> bool:
    """Whether the kernels take these activations: rows of channels, plain ones in memory."""
    return (
        x.is_cpu
        and (x.dtype is torch.float32 or x.dtype is torch.bfloat16)
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.shape[1] == channels
        # With one value a channel torch raises the right error.
        and x.numel() > channels
        and (
            residual is None
            or (
                isinstance(residual, Tensor)  # a block may add a number
                and residual.is_cpu
                and residual.dtype is x.dtype
                and residual.shape == x.shape
                and residual.is_contiguous(memory_format=torch.channels_last)
            )
        )
    )
