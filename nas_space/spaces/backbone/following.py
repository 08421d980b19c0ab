"""What a user's network does, operation by operation, as `torch.fx` sees it in eval mode."""

from collections.abc import Set as AbstractSet
from typing import Any

from torch import fx, nn

from nas_space.spaces.architecture import InvalidArchitectureError


def followed(network: nn.Module, convs: AbstractSet[str], name: str) -> fx.Graph:
    """What a network does.

    Args:
        network: in eval mode.
        convs: names of its modules that were chosen, which are not looked into.
        name: of the backbone.

    Raises:
        InvalidArchitectureError: `torch.fx` cannot follow it, or it uses what its weights lack.
    """
    try:
        graph = Tracer(convs).trace(network)
    except Exception as error:  # noqa: BLE001 - the module is the user's
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidArchitectureError(
            f"{name} cannot be written out: torch.fx cannot follow its forward, whose way must "
            f"not depend on what it sees ({reason})"
        ) from None
    held = network.state_dict().keys()
    for node in graph.nodes:
        if node.op == "get_attr" and node.target not in held:
            raise InvalidArchitectureError(
                f"{name} cannot be written out: its forward uses {node.target}, which its "
                "state_dict does not hold"
            )
    return graph


class Tracer(fx.Tracer):
    """Follows a forward down to torch's own layers, and to the convolutions that were chosen."""

    def __init__(self, convs: AbstractSet[str]) -> None:
        from torchvision.ops import StochasticDepth  # noqa: PLC0415 - seconds

        super().__init__()
        self._convs = convs
        self._idle = StochasticDepth

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is written by its constructor."""
        chosen = module_qualified_name in self._convs
        return chosen or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        """As `torch.fx` does it, but for a layer that does nothing in eval mode."""
        if isinstance(m, self._idle):
            return args[0]
        return super().call_module(m, forward, args, kwargs)
