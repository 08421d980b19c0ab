"""zen: how expressive random weights are (Lin et al., arXiv 2102.01063, algorithm 1)."""

import math

import torch
from torch import Tensor, nn

from trainers.scores.base import weights

_BATCH_IMAGES = 16
"""Random images of a batch."""
_STEP_STANDARD_DEVIATIONS = 0.01
"""Size of the perturbation of the input."""


class Zen:
    """``log E|f(x) - f(x + 0.01 e)|`` plus the logarithms of what batch normalisation divides by.

    x, e and all weights are drawn from N(0, 1). Because any module is accepted, two things differ
    from the paper: f are the logits, not the last feature map, and shortcuts are not removed.
    """

    name = "zen"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG002
        """See `trainers.scores.base.Score`."""
        module.train()
        with torch.no_grad():
            for weight in weights(module):
                weight.normal_()
        spreads: list[float] = []
        hooks = [
            layer.register_forward_pre_hook(lambda _, inputs: spreads.append(_spread(inputs[0])))
            for layer in module.modules()
            if isinstance(layer, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - 1d to 3d
        ]
        x = torch.randn(_BATCH_IMAGES, *images.shape[1:], device=images.device)
        with torch.no_grad():
            base = module(x)
            for hook in hooks:
                hook.remove()
            moved = module(x + _STEP_STANDARD_DEVIATIONS * torch.randn_like(x))
        change = float((base - moved).abs().mean())
        return math.log(change) + sum(spreads) if change > 0 else -math.inf


def _spread(x: Tensor) -> float:
    """The logarithm of the root of the mean over channels of the variance."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    return 0.5 * math.log(float(x.var(dim=axes, correction=0).mean()) + 1e-30)
