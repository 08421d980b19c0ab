"""zico: how stable the gradients are from batch to batch (Li et al., arXiv 2301.11300)."""

import math

import torch
from torch import Tensor, nn

from trainers.scores.base import gradients

_BATCH_COUNT = 2


class Zico:
    """The sum over layers of ``log Σ mean|g| / std|g|``, over the weights g of two half batches.

    Weights whose gradient does not change are left out, as in the authors' code.
    """

    name = "zico"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `trainers.scores.base.Score`."""
        runs = []
        for part, answers in zip(
            images.chunk(_BATCH_COUNT), labels.chunk(_BATCH_COUNT), strict=True
        ):
            runs.append([g.abs().clone() for _, g in gradients(module, part, answers)])
        total = 0.0
        for layer in zip(*runs, strict=True):
            stacked = torch.stack(layer)
            mean, spread = stacked.mean(dim=0), stacked.std(dim=0, correction=0)
            steady = float((mean[spread > 0] / spread[spread > 0]).sum())
            if steady > 0:
                total += math.log(steady)
        return total
