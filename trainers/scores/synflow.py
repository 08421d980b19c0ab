"""synflow: how much flows through all paths (Tanaka et al., arXiv 2006.05467)."""

import math

import torch
from torch import Tensor, nn

from trainers.scores.base import weights


class Synflow:
    """The logarithm of the sum over weights w of ``w · dR/dw``.

    R is the sum of the outputs for an image of ones, with the absolute values of all parameters.
    Batch normalisation is left out, like in Abdelfattah et al.: it has seen no data, and its
    weights are 1. The logarithm is taken because deep networks reach 1e40.
    """

    name = "synflow"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG002
        """See `trainers.scores.base.Score`."""
        module.double().eval()
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - 1d to 3d
                layer.reset_running_stats()
                layer.reset_parameters()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.abs_()
        ones = torch.ones(1, *images.shape[1:], dtype=torch.float64, device=images.device)
        module.zero_grad(set_to_none=True)
        module(ones).sum().backward()
        flow = sum(
            float((w.detach() * w.grad).sum()) for w in weights(module) if w.grad is not None
        )
        return math.log(flow) if flow > 0 else -math.inf
