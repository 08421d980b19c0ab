"""Batch normalisation with the addition and the ReLU that follow it, as one module.

In training on a CPU they only read and write activations, and take time for it: 40 % of a step of
ResNet-20 on batches of 128 images of 32×32, 8 % where maps are small.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.eager import eager
from nas_space.kernels.norm import NormActFunction, Running, kernels


class NormAct(nn.BatchNorm2d):
    """``relu(batch_norm(x) + residual)``; parameters and buffers are `torch.nn.BatchNorm2d`'s.

    It is computed in one of two ways, equal up to rounding: by torch's operations, or, where they
    serve (training on one thread of a CPU, in channels_last), by the kernels of this package.

    ``num_batches_tracked`` stays as it is, unless a ``momentum`` of None asks for it.

    Args:
        channels: C.
        relu: whether the ReLU is there.
        eps: see `torch.nn.BatchNorm2d`.
        momentum: likewise.

    Source: Ioffe and Szegedy, arXiv 1502.03167.
    """

    def __init__(
        self, channels: int, *, relu: bool = True, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__(channels, eps, momentum)
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map x (N, C, H, W), and a residual of the same shape, to y of that shape.

        Raises:
            ValueError: x has another number of axes or, in training, one value a channel.
        """
        running = self._running()
        if running is None or not self._fusable(x, residual):
            return self._plain(x, residual)
        y: Tensor = NormActFunction.apply(x, residual, self.weight, self.bias, running, self.relu)
        return y

    def _fusable(self, x: Tensor, residual: Tensor | None) -> bool:
        parts = (self.weight, self.bias, self.running_mean, self.running_var)
        return (
            self.training
            and (self.relu or residual is None)
            and _suits(x, residual)
            and torch.get_num_threads() == 1
            and all(_belongs(part, x.shape[1]) for part in parts)
            and kernels() is not None
        )

    def _running(self) -> Running | None:
        """What the kernels need to move the statistics; None where that is asked for otherwise."""
        mean, var, momentum = self.running_mean, self.running_var, self.momentum
        if mean is None or var is None or momentum is None or not self.track_running_stats:
            return None
        return Running(mean, var, momentum, self.eps)

    def _plain(self, x: Tensor, residual: Tensor | None) -> Tensor:
        y = self._normalised(x)
        if residual is not None:
            y = y + residual
        return F.relu(y) if self.relu else y

    def _normalised(self, x: Tensor) -> Tensor:
        if self.momentum is None or not self.track_running_stats:
            return super().forward(x)
        self._check_input_dim(x)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )


def _suits(x: Tensor, residual: Tensor | None) -> bool:
    """Whether the kernels take these activations: rows of channels, plain ones in memory."""
    return (
        eager(x)
        and (x.dtype is torch.float32 or x.dtype is torch.bfloat16)
        and x.is_contiguous(memory_format=torch.channels_last)
        # Of one value a channel torch's operation says what is wrong.
        and x.numel() > x.shape[1]
        and (
            residual is None
            or (
                eager(residual)
                and residual.dtype is x.dtype
                and residual.shape == x.shape
                and residual.is_contiguous(memory_format=torch.channels_last)
            )
        )
    )


def _belongs(part: Tensor | None, channels: int) -> bool:
    """Whether the kernels take this parameter or statistic of so many channels."""
    return (
        part is not None
        and part.is_cpu
        and part.dtype is torch.float32
        and part.numel() == channels
        and part.is_contiguous()
    )
