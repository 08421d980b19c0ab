"""What a user's network does, operation by operation, as `torch.fx` sees it in eval mode.

`torch.fx` alone knows no sizes. Here each operation is computed as well, on meta tensors, for one
image and for seven. What is no tensor and the same for both is a number or a truth like any other:
sizes may be unpacked, asserted and branched on. What depends on how many images there are stays an
operation.
"""

import copy
import inspect
import operator
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from nas_space.errors import reason
from nas_space.layers.spelling import is_torchs
from nas_space.spaces.architecture import InvalidArchitectureError

COUNTS = (1, 7)
"""Images in the batches that are looked at."""
_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.layout, torch.memory_format)
_CONSTANT = "constant"
IDLE = "idle"
"""In a node's `meta`: whether it gives no tensor, so that nothing is lost without it."""


def followed(
    network: nn.Module, convs: AbstractSet[str], name: str, shape: tuple[int, int, int]
) -> fx.Graph:
    """What a network does.

    Args:
        network: that is followed in eval mode. It is not changed.
        convs: names of its modules that were chosen, which are not looked into.
        name: of the backbone.
        shape: channels, height and width of its images.

    Raises:
        InvalidArchitectureError: its way depends on what it sees.
    """
    # A copy without numbers, which a forward may change as it likes.
    held = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    double = copy.deepcopy(network, held).to("meta").eval()
    try:
        graph = Tracer(convs, shape).trace(double)
    except Exception as error:  # noqa: BLE001 - the module is the user's
        raise InvalidArchitectureError(
            f"{name} cannot be written out: torch.fx cannot follow its forward, whose way must "
            f"not depend on what it sees ({reason(error)})"
        ) from None
    kept, buffers = network.state_dict().keys(), dict(network.named_buffers())
    for node in graph.nodes:
        if node.op == "get_attr" and node.target not in kept:
            own = buffers.get(node.target)
            node.meta[_CONSTANT] = operator.attrgetter(node.target)(double) if own is None else own
    return graph


def constants(graph: fx.Graph) -> dict[str, Tensor]:
    """The tensors that a forward uses and that are no weights, by their names."""
    return {n.target: n.meta[_CONSTANT] for n in graph.nodes if _CONSTANT in n.meta}


class _Seen(fx.Proxy):
    """A value in a forward.

    Attributes:
        seen: what it is for each of `COUNTS` images; tensors are on the meta device.
    """

    seen: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if callable(getattr(self.seen[0], name)):
            return super().__getattr__(name)
        return self.tracer.create_proxy("call_function", getattr, (self, name), {})

    def __setitem__(self, key: object, value: object) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, key, value), {})

    def __len__(self) -> int:
        lengths = {len(value) for value in self.seen}
        if len(lengths) > 1:
            raise fx.proxy.TraceError("its way depends on how many images it gets")
        return lengths.pop()


class Tracer(fx.Tracer):
    """Follows a forward down to layers that text can make, and to those that were chosen.

    Args:
        convs: names of modules that were chosen.
        shape: channels, height and width of the images.
    """

    proxy_buffer_attributes = True

    def __init__(self, convs: AbstractSet[str], shape: tuple[int, int, int]) -> None:
        super().__init__()
        self._convs = convs
        self._shape = shape
        self._computes = False
        self._layer: Callable[..., Any] = _Seen

    def trace(self, root: Any, concrete_args: Any = None) -> fx.Graph:  # noqa: ANN401
        """As `torch.fx` does it, into what `torch.fx.wrap` hides, too: plain torch lacks that."""
        hidden = fx._symbolic_trace._wrapped_fns_to_patch  # noqa: SLF001 - nothing else tells
        with patch.dict(hidden, clear=True), _Makers(self), torch.no_grad():
            return super().trace(root, concrete_args)

    def create_args_for_root(
        self,
        root_fn: Any,  # noqa: ANN401
        is_module: bool,  # noqa: ARG002
        concrete_args: Any = None,  # noqa: ANN401, ARG002
    ) -> tuple[Any, list[Any]]:
        """The images; all else that a forward may be given keeps its default."""
        name = next(iter(inspect.signature(root_fn.__get__(self.root)).parameters.values())).name
        return root_fn, [self.root, self.create_proxy("placeholder", name, (), {})]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """See `_Seen`."""
        return _Seen(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is written by its constructor."""
        chosen = module_qualified_name in self._convs
        return chosen or (is_torchs(m) and not isinstance(m, nn.Sequential))

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        """As `torch.fx` does it, unless it is a layer that computes."""
        if self._computes:
            return forward(*args, **kwargs)
        self._layer = forward
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:  # noqa: ANN401
        """As `torch.fx` does it, unless it is a layer that computes."""
        return (
            attr_val if self._computes else super().getattr(attr, attr_val, parameter_proxy_cache)
        )

    def create_proxy(
        self,
        kind: str,
        target: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *rest: Any,  # noqa: ANN401
        **named: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """A value of the forward, or what it is if that depends on no image."""
        made = super().create_proxy(kind, target, args, kwargs, *rest, **named)
        assert isinstance(made, _Seen)  # noqa: S101 - as `proxy` makes them
        seen = tuple(self._computed(kind, target, args, kwargs, place) for place in (0, 1))
        leaves = pytree.tree_leaves(seen)
        made.node.meta[IDLE] = not any(isinstance(leaf, Tensor | None) for leaf in leaves)
        made.seen = seen
        return self._told(made, seen)

    def _told(self, made: Any, seen: tuple[Any, ...]) -> Any:  # noqa: ANN401
        first, last = seen
        if isinstance(first, _PLAIN) and first == last:
            return first
        if type(first) in {tuple, list, torch.Size} and len(first) == len(last):
            parts = (
                one if isinstance(one, _PLAIN) and one == other else made[number]
                for number, (one, other) in enumerate(zip(first, last, strict=True))
            )
            return list(parts) if isinstance(first, list) else tuple(parts)
        return made

    def _computed(
        self,
        kind: str,
        target: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        place: int,
    ) -> Any:  # noqa: ANN401
        """What an operation gives for so many images."""

        def here(value: Any) -> Any:  # noqa: ANN401
            value = value.seen[place] if isinstance(value, _Seen) else value
            return value.to("meta") if isinstance(value, Tensor) else value

        given, options = fx.node.map_aggregate((args, kwargs), here)
        match kind:
            case "placeholder":
                return torch.empty(COUNTS[place], *self._shape, device="meta")
            case "get_attr":
                target, given = operator.attrgetter(target), (self.root,)
            case "call_method":
                target, given = getattr(given[0], target), given[1:]
            case "call_module":
                target = self._layer
        self._computes = True
        try:
            with torch._C.DisableTorchFunction():  # noqa: SLF001 - else `_Makers` sees all of it
                return target(*given, **options)
        finally:
            self._computes = False


class _Makers(TorchFunctionMode):
    """Has a forward's `torch.zeros(n, …)` traced where ``n`` depends on the images."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        given = args, kwargs or {}
        if not types and any(isinstance(leaf, _Seen) for leaf in pytree.tree_leaves(given)):
            return self._tracer.create_proxy("call_function", func, *given)
        return func(*args, **(kwargs or {}))
