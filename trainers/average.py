"""The moving average of a module's weights while it is trained."""

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of all numbers of a module, its buffers too.

    At first it forgets faster, as TensorFlow's `ExponentialMovingAverage` does, or it would keep
    the random weights of the beginning.

    Args:
        module: in training.
        decay: share of the average that stays at a step.

    Attributes:
        values: the average, by the names of the module's state.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module = module
        self._decay = decay
        self.values: dict[str, Tensor] = {
            name: tensor.detach().clone() for name, tensor in module.state_dict().items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights behind a step, counted from 0."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, tensor in self._module.state_dict().items():
            if tensor.is_floating_point():
                self.values[name].lerp_(tensor, share)
            else:
                self.values[name].copy_(tensor)
