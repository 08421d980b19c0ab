"""naswot: how different the ReLU codes of a batch are (Mellor et al., arXiv 2006.04647)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.overrides import TorchFunctionMode

_RELUS = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


class Naswot:
    """The log determinant of the kernel of Hamming similarities.

    For two images the kernel counts, over all ReLUs, the units that are on or off for both.
    """

    name = "naswot"

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG002
        """See `trainers.scores.base.Score`."""
        module.train()
        with torch.no_grad(), _Codes(len(images)) as codes:
            module(images)
        sign, logarithm = torch.linalg.slogdet(codes.kernel)
        return float(logarithm) if sign > 0 else -torch.inf


class _Codes(TorchFunctionMode):
    """Adds up the kernel from every ReLU that is computed, in any module."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.kernel = torch.zeros(count, count, dtype=torch.float64)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        found = func(*args, **(kwargs or {}))
        if func in _RELUS:
            on = (found.detach().flatten(1) > 0).double().cpu()
            self.kernel += on @ on.T + (1 - on) @ (1 - on).T
        return found
