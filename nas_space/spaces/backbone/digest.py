"""A short name for what a backbone computes, so that a function that has changed is noticed.

Names, shapes and costs of layers do not tell a ReLU from a Tanh.
"""

import hashlib
from collections.abc import Iterator

from torch import fx, nn

from nas_space.spaces.backbone.following import constants


def digest(model: nn.Module, graph: fx.Graph) -> str:
    """Twelve hex digits that change with what a backbone computes, but not with its weights.

    They are made of its operations in eval mode, the settings of torch's own layers in it, and the
    names and shapes of its weights.

    Args:
        model: the backbone, before anything in it is replaced.
        graph: what it does, see `following.followed`.
    """
    fixed = (f"{n} {tensor.tolist()}" for n, tensor in constants(graph).items())
    lines = [*_operations(graph), *_layers(model), *_held(model), *fixed]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _operations(graph: fx.Graph) -> Iterator[str]:
    # Not the text that torch.fx makes of them: that may change with the version of torch.
    places = {node: f"%{number}" for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        target = getattr(node.target, "__name__", node.target)
        given = fx.node.map_arg((node.args, node.kwargs), places.__getitem__)
        # The name of an argument of `forward` computes nothing.
        yield node.op if node.op == "placeholder" else f"{node.op} {target} {given}"


def _layers(model: nn.Module) -> Iterator[str]:
    tracer = fx.Tracer()
    for name, module in model.named_modules():
        if tracer.is_leaf_module(module, name):
            yield f"{name} {module!r}"


def _held(model: nn.Module) -> Iterator[str]:
    for name, tensor in model.state_dict().items():
        yield f"{name} {tuple(tensor.shape)} {tensor.dtype}"
