"""Forwards swapped for faster ones while a module is trained, and put back afterwards.

The module itself is trained: its parts, hooks, modes and attributes are the very same. Only while
it is called, or inside of ``with``, some parts have another ``forward``.
"""

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from torch import nn

Attributes = Mapping[str, Callable[..., Any]]
"""What a part has instead of the methods of its class."""


class Swap:
    """Attributes of parts of a module, set and put back. It may be entered again inside.

    Args:
        parts: the attributes of each part. One that the part has itself, by then, stays.
    """

    def __init__(self, parts: list[tuple[nn.Module, Attributes]]) -> None:
        self._parts = parts
        self._set = list[tuple[dict[str, Any], str]]()
        self._depth = 0

    def __enter__(self) -> Self:
        if self._depth == 0:
            for part, attributes in self._parts:
                own = vars(part)
                for name in attributes.keys() - own.keys():
                    own[name] = attributes[name]
                    self._set.append((own, name))
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            for own, name in self._set:
                own.pop(name, None)
            self._set.clear()


class Swapped(nn.Module):
    """A second name of a module, which computes faster in training; all else is the module's.

    Calls swap forwards for as long as they last. Steps whose backward computes forwards again
    (`torch.utils.checkpoint`) have to be inside of ``with``.
    """

    _swapped: ClassVar[nn.Module]
    _swap: ClassVar[Swap]

    def __call__(self, *inputs: Any, **named: Any) -> Any:  # noqa: ANN401 - the module's own
        """Call the module."""
        module = self._swapped
        if not module.training:
            return module(*inputs, **named)
        with self._swap:
            return module(*inputs, **named)

    def named_modules(self, *given: Any, **named: Any) -> Iterator[tuple[str, nn.Module]]:  # noqa: ANN401
        """Those of the module, itself among them."""
        found: Iterator[tuple[str, nn.Module]] = self._swapped.named_modules(*given, **named)
        return found

    def __enter__(self) -> Self:
        self._swap.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._swap.__exit__(kind, error, traceback)

    def __reduce_ex__(self, protocol: Any) -> Any:  # noqa: ANN401
        """Copies and pickles are of the module."""
        return self._swapped.__reduce_ex__(protocol)


def swapped(module: nn.Module, parts: list[tuple[nn.Module, Attributes]]) -> nn.Module:
    """A second name of a module, whose calls in training find these attributes on its parts."""
    kind = type(module)
    facts = {"_swapped": module, "_swap": Swap(parts), "__module__": kind.__module__}
    alias: nn.Module = object.__new__(type(kind.__name__, (Swapped, kind), facts))
    # The very same attributes, whoever sets them.
    object.__setattr__(alias, "__dict__", vars(module))
    return alias
