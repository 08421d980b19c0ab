"""Forwards that call `view`, made to take images that lie in memory row by row."""

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def reshaping(network: nn.Module) -> nn.Module:
    """The same network; inside of its forward `view` copies what it cannot look at in place.

    Trainings have maps in channels_last, where ``x.view(n, -1)`` is no view.
    """
    mode = _Reshaping()
    network.register_forward_pre_hook(mode.begin, prepend=True)
    network.register_forward_hook(mode.end, always_call=True)
    return network


class _Reshaping(TorchFunctionMode):
    """Inside, `Tensor.view` is `Tensor.reshape`, unless it is asked for another type."""

    def begin(self, _network: nn.Module, _given: object) -> None:
        """Before a forward."""
        self.__enter__()  # type: ignore[no-untyped-call]

    def end(self, _network: nn.Module, _given: object, _output: object) -> None:
        """After it."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """See `TorchFunctionMode`."""
        views = func is torch.Tensor.view and not isinstance(args[-1], torch.dtype)
        return (torch.Tensor.reshape if views else func)(*args, **(kwargs or {}))
