"""snip: how much the loss hangs on each weight (Lee et al., arXiv 1810.02340)."""

from torch import Tensor, nn

from trainers.scores.base import gradients


class Snip:
    """The sum over weights w of ``|w · dL/dw|``, as Abdelfattah et al. make a score of it."""

    name = "snip"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `trainers.scores.base.Score`."""
        return sum(float((w * grad).abs().sum()) for w, grad in gradients(module, images, labels))
