"""The contract of a zero-cost score, and what scores share."""

import copy
import math
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from nas_space.errors import ConvnasError, error_line
from trainers.data.batches import cross_entropy


class ScoreError(ConvnasError):
    """A score that fails."""


class Score(Protocol):
    """A number for an untrained network; higher should be better."""

    @property
    def name(self) -> str:
        """The name in the literature."""

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:
        """The score of a module, which may be changed.

        Args:
            module: maps (N, C, H, W) to logits (N, classes); freshly initialised.
            images: (N, C, H, W), normalised.
            labels: (N,).
        """


def score(which: Score, module: nn.Module, images: Tensor, labels: Tensor, *, seed: int) -> float:
    """The score of a module; the module and the random state stay as they are.

    Args:
        which: the score.
        module: see `Score.of`.
        images: see `Score.of`.
        labels: see `Score.of`.
        seed: of the score's random numbers.

    Returns:
        The score; -inf if it is not a number: such a network ranks last.

    Raises:
        ScoreError: the score fails, or gives something else.
    """
    copied = copy.deepcopy(module)
    # In NCHW, for which every module uses torch's own operations.
    images = images.contiguous()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        try:
            found = float(which.of(copied, images, labels))
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            raise ScoreError(f"the score {which.name} fails ({error_line(error)})") from error
    return found if math.isfinite(found) else -math.inf


def weights(module: nn.Module) -> Iterator[Tensor]:
    """The weights of convolutions and linear layers, which the papers use."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):  # noqa: SLF001 - Conv1d to 3d
            yield layer.weight


def gradients(module: nn.Module, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each of `weights` with the gradient of the cross entropy of a batch, in train mode."""
    module.train()
    module.zero_grad(set_to_none=True)
    cross_entropy(module(images), labels, 0.0).backward()  # type: ignore[no-untyped-call]
    return [(w.detach(), w.grad) for w in weights(module) if w.grad is not None]
