"""Weights of convolutions: drawn, as factors of low rank, of fewer groups, of several in a row."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def factors(matrices: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The two factors of the nearest matrix of a rank, in least squares (Eckart and Young).

    Args:
        matrices: (…, rows, columns).
        rank: at least 1; what exceeds rows or columns is left out.

    Returns:
        (…, rows, r) and (…, r, columns), r = min(rank, rows, columns), of equal norms.
    """
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    roots = values[..., :rank].sqrt()
    return left[..., :rank] * roots.unsqueeze(-2), roots.unsqueeze(-1) * right[..., :rank, :]


def block_diagonal(weight: Tensor, groups: int, together: int) -> Tensor:
    """The kernel (c_out, together·w, K, K) of fewer groups that does what (c_out, w, K, K) does."""
    c_out, width, *sides = weight.shape
    blocks = weight.view(groups // together, together, c_out // groups, 1, width, *sides)
    diagonal = torch.eye(together, dtype=weight.dtype, device=weight.device)
    spread = blocks * diagonal.view(1, together, 1, together, 1, 1, 1)
    return spread.reshape(c_out, together * width, *sides)


def through(parts: Sequence[nn.Module], columns: Tensor) -> Tensor:
    """What 1×1 convolutions and channel shuffles in a row make of pixels; of units: their product.

    Args:
        parts: `torch.nn.Conv2d` and `torch.nn.ChannelShuffle`.
        columns: (c_in, n), the channels of n pixels, in the type to compute in.

    Returns:
        (c_out, n).
    """
    for part in parts:
        if isinstance(part, nn.ChannelShuffle):
            columns = columns.view(part.groups, -1, columns.shape[1]).transpose(0, 1)
            columns = columns.reshape(-1, columns.shape[2])
        else:
            assert isinstance(part, nn.Conv2d)  # noqa: S101 - as documented
            c_out, width, _, _ = part.weight.shape
            weight = part.weight.to(columns.dtype).view(part.groups, -1, width)
            columns = weight @ columns.reshape(part.groups, width, -1)
            columns = columns.reshape(c_out, -1)
            if part.bias is not None:
                columns = columns + part.bias.to(columns.dtype).view(-1, 1)
    return columns


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of convolutions and linear layers from that generator; biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
