"""grad-norm: how large the gradients are (Abdelfattah et al., arXiv 2101.08134)."""

from torch import Tensor, nn

from trainers.scores.base import gradients


class GradNorm:
    """The sum over layers of the Euclidean norm of the gradient of a batch's cross entropy."""

    name = "grad-norm"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `trainers.scores.base.Score`."""
        return sum(float(grad.norm()) for _, grad in gradients(module, images, labels))
