"""Sequences of modules, some of which are computed together: chains, normalisation and ReLU."""

from collections.abc import Callable, Iterable, Iterator

from torch import Tensor, nn

from trainers.fast.chains import Chain
from trainers.fast.norm import NormAct
from trainers.fast.watching import is_free

Step = Callable[[Tensor], Tensor]


class Steps:
    """The forward of a `torch.nn.Sequential` in fewer steps.

    Args:
        module: the sequence, which calls its own forward unless it is trained.
        steps: what it does in training.
    """

    def __init__(self, module: nn.Sequential, steps: Iterable[Step]) -> None:
        self._module = module
        self._steps = tuple(steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Map x as the sequence does."""
        if not self._module.training:
            y: Tensor = nn.Sequential.forward(self._module, x)  # type: ignore[no-untyped-call]
            return y
        for step in self._steps:
            x = step(x)
        return x


def in_fewer_steps(module: nn.Module) -> Steps | None:
    """The forward of a sequence with parts that are computed together; None if there are none."""
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        return None
    steps = list(_steps(list(module)))
    return Steps(module, steps) if len(steps) < len(module) else None


def _steps(rest: list[nn.Module]) -> Iterator[Step]:
    while rest:
        chain = Chain.found(rest)
        if chain is not None:
            yield chain
            rest = rest[len(chain.parts) :]
        elif len(rest) > 1 and NormAct.takes(rest[0]) and is_relu(rest[1]) and is_free(rest[0]):
            yield NormAct(rest[0], relu=True)
            rest = rest[2:]
        else:
            yield rest[0]
            rest = rest[1:]


def is_relu(module: nn.Module) -> bool:
    """Whether a module is a ReLU without hooks."""
    return type(module) is nn.ReLU and is_free(module)
