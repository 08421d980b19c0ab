"""snip: how much the loss depends on each weight (Lee et al., arXiv 1810.02340)."""

from torch import Tensor, nn

from trainers.scores.base import gradients


class Snip:
    """The sum over weights w of ``|w · dL/dw|``, the score of Abdelfattah et al."""

    name = "snip"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `trainers.scores.base.Score`."""
        return sum(float((w * grad).abs().sum()) for w, grad in gradients(module, images, labels))
