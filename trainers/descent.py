"""Stochastic gradient descent with Nesterov's momentum, on torch's fused kernel."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd


class Descent:
    """What `torch.optim.SGD(…, nesterov=True, fused=True)` computes, without its imports.

    That class imports torch's compiler at its first step, which costs every worker seconds.

    Args:
        parameters: to train.
        momentum: share of the past steps in a step.
        weight_decay: share of a parameter that is added to its gradient.
        decays_vectors: whether that is so for parameters of one axis too: biases, and those of
            normalisation.

    Attributes:
        rate: learning rate of the next step.
        momenta: one for each parameter that has moved, in its shape.
        param_groups: as `torch.amp.GradScaler` reads them.

    Source: Sutskever et al., ICML 2013, as torch has it.
    """

    # The scaler reads this. It then leaves unscaling to the kernel and never waits for it.
    _step_supports_amp_scaling = True
    # The scaler sets these for one step, and removes them.
    grad_scale: Tensor
    found_inf: Tensor

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        momentum: float,
        weight_decay: float,
        decays_vectors: bool = True,
    ) -> None:
        self._parameters = list(parameters)
        self._momentum = momentum
        self._weight_decay = weight_decay
        self._decays_vectors = decays_vectors
        self.rate = 0.0
        self.momenta: dict[nn.Parameter, Tensor] = {}
        self.param_groups = [{"params": self._parameters}]

    def clear(self) -> None:
        """Forget the gradients."""
        for one in self._parameters:
            one.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moving = [one for one in self._parameters if one.grad is not None]
        for one in moving:
            # The kernel would leave these unset in a step that the scaler skips.
            if one not in self.momenta:
                self.momenta[one] = torch.zeros_like(one)
        if self._decays_vectors:
            self._move(moving, self._weight_decay)
            return
        self._move([one for one in moving if one.dim() > 1], self._weight_decay)
        self._move([one for one in moving if one.dim() <= 1], 0.0)

    def _move(self, moving: list[nn.Parameter], weight_decay: float) -> None:
        if not moving:
            return
        gradients = [(one, one.grad) for one in moving if one.grad is not None]
        sgd(
            [_as_it_lies(one, one) for one in moving],
            # The kernel ignores strides: all must have the same layout.
            [_as_it_lies(one, gradient).contiguous() for one, gradient in gradients],
            [_as_it_lies(one, self.momenta[one]) for one in moving],
            fused=True,
            grad_scale=getattr(self, "grad_scale", None),
            found_inf=getattr(self, "found_inf", None),
            weight_decay=weight_decay,
            momentum=self._momentum,
            lr=self.rate,
            dampening=0.0,
            nesterov=True,
            maximize=False,
        )


def _as_it_lies(parameter: Tensor, x: Tensor) -> Tensor:
    """A view of x whose axes are in the memory order of the parameter's.

    Otherwise the kernel copies gradients that are not contiguous: half a millisecond for 192
    channels of 3×3 in channels_last.
    """
    if parameter.is_contiguous() or not parameter.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.movedim(1, -1)


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
