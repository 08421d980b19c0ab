"""Parameters and MACs of any module, by torch's own counter: what the closed forms are held to."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_space.costs.cost import Cost


def count(module: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Cost of any module for one input of that shape (without the batch), by running it once.

    Counted are convolutions, transposed ones too, and products of matrices, whether layers or
    functions compute them. The module itself is not changed.
    """
    like = next(module.parameters(), torch.zeros(()))
    double = copy.deepcopy(module).eval()
    images = torch.zeros(1, *shape, device=like.device, dtype=like.dtype)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        double(images)
    # It counts a multiplication and an addition as two.
    return Cost(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2)
