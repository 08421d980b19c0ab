"""A backbone with its convolutions chosen as Python text, from what `torch.fx` sees it do."""

import builtins
import re
import textwrap
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from types import MappingProxyType

from torch import fx, nn

from nas_space.bundle.shipped import Normalise, place
from nas_space.bundle.written import Written, distinct
from nas_space.conversion.converting import Biased
from nas_space.convs import Conv, InvalidChoiceError
from nas_space.inference.tracing import without_views
from nas_space.layers.spelling import spelled
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.backbone.architecture import BackboneArchitecture
from nas_space.spaces.backbone.as_is import AsIs
from nas_space.spaces.backbone.following import IDLE, constants, followed
from nas_space.spaces.building import build

_TEMPLATE = '''\
class Network(nn.Module):
    """Images (N, {image}), values 0 to 1, to logits (N, {classes})."""

    def __init__(self) -> None:
        super().__init__()
{parts}

{forward}


def network() -> nn.Module:
    """The network, whose weights are not set yet."""
    return Network()
'''
_NORMALISE = "normalise_images"
_MEANINGS = {"inf": "math.inf", "nan": "math.nan", "device": "torch.device"}
"""What names mean that `torch.fx` has in its code."""
_GIVEN = {"torch", "NoneType", "fx_pytree", "pytree", *_MEANINGS}
_MOST_NUMBERS = 1024
"""Numbers of a constant that is written into the text."""


def written(
    architecture: BackboneArchitecture, shape: tuple[int, int, int], classes: int
) -> Written:
    """The network as the row of operations that it is in eval mode.

    Raises:
        InvalidArchitectureError: `torch.fx` cannot follow its forward, or it does more than torch.
        InvalidChoiceError: a type of convolution says no way to be written in plain torch.
    """
    network = build(architecture.bare(), shape[0], classes).eval()
    convs = dict(_convs(architecture, network))
    chosen = (layer.conv for layer in architecture.layers() if not isinstance(layer.conv, AsIs))
    return as_text(network, architecture.backbone.name, shape, classes, convs, distinct(chosen))


def as_text(
    network: nn.Module,
    name: str,
    shape: tuple[int, int, int],
    classes: int,
    convs: Mapping[str, str] = MappingProxyType({}),
    types: tuple[type[Conv], ...] = (),
) -> Written:
    """A network as text.

    Args:
        network: in eval mode.
        name: what users call it.
        shape: channels, height and width of its images.
        classes: that it tells apart.
        convs: its modules that were chosen, by name, with the text that makes each.
        types: of these.

    Raises:
        InvalidArchitectureError: see `written`.
    """
    graph = followed(network, set(convs), name, shape)
    _normalise_first(graph)
    _make_plain(graph)
    try:
        parts = "\n".join(_parts(network, graph, convs))
    except InvalidChoiceError as error:
        raise InvalidArchitectureError(f"{name} cannot be written out: {error}") from None
    text = _TEMPLATE.format(
        image=", ".join(map(str, shape)),
        classes=classes,
        parts=parts,
        forward=textwrap.indent(_forward(graph, name), "    "),
    )
    return Written(types, (place, Normalise), (f"- all else: {name}",), text)


def _normalise_first(graph: fx.Graph) -> None:
    """Have the network read pixels from 0 to 1."""
    images = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(images):
        normalised = graph.call_module(_NORMALISE, (images,))
    images.replace_all_uses_with(normalised, delete_user_cb=lambda user: user is not normalised)


def _make_plain(graph: fx.Graph) -> None:
    """Leave out what nothing reads, and annotations."""
    without_views(graph)
    for node in reversed(graph.nodes):
        node.type = None
        if node.meta.get(IDLE) and not node.users:
            graph.erase_node(node)


def _forward(graph: fx.Graph, name: str) -> str:
    """The text of the forward."""
    # torch.fx writes names as they are, also those that Python keeps for itself.
    kept = {
        f"kept{number}": (node, node.target)
        for number, node in enumerate(graph.nodes)
        if node.op in {"call_module", "get_attr"} and any(map(iskeyword, node.target.split(".")))
    }
    for short, (node, _) in kept.items():
        node.target = short
    code = graph.python_code("self")
    text: str = code.src.strip()
    for short, (node, target) in kept.items():
        node.target = target
        *path, last = target.split(".")
        spelt = f'getattr(self.get_submodule("{".".join(path)}"), "{last}")'
        text = re.sub(rf"\bself\.{short}\b", spelt, text)
    foreign = sorted(code.globals.keys() - _GIVEN - vars(builtins).keys())
    foreign += re.findall(r"torch\.ops\.(?!aten\.)[\w.]+", text)
    if foreign:
        raise InvalidArchitectureError(
            f"{name} cannot be written out in plain torch: its forward calls {foreign[0]}"
        )
    for short, full in _MEANINGS.items():
        text = re.sub(rf"(?<![\w.]){short}\b(?! =)", full, text)
    return text


def _convs(architecture: BackboneArchitecture, network: nn.Module) -> Iterator[tuple[str, str]]:
    """The names of the modules that were chosen, with the text that makes each."""
    for layer in architecture.layers():
        if not isinstance(layer.conv, AsIs):
            biased = isinstance(network.get_submodule(layer.name), Biased)
            made = layer.conv.expression(layer.c_in or 0, layer.c_out, layer.stride)
            yield f"{layer.name}.conv" if biased else layer.name, made


def _parts(network: nn.Module, graph: fx.Graph, convs: Mapping[str, str]) -> Iterator[str]:
    """The lines of the constructor: all that the forward uses, and all that has weights."""
    yield _line(_NORMALISE, "Normalise(MEAN, STD)")
    used = {str(node.target) for node in graph.nodes if node.op == "call_module"}
    held, inside_of = network.state_dict(), "/"
    for name, module in network.named_modules():
        if name.startswith(inside_of):
            continue
        if name in used:
            inside_of = f"{name}."
            yield _line(name, convs.get(name) or spelled(module))
            continue
        inside = f"{name}." * bool(name)
        for own, tensor in module.named_parameters(recurse=False):
            yield _line(inside + own, f"nn.Parameter(torch.empty({tuple(tensor.shape)}))")
        for own, tensor in module.named_buffers(recurse=False):
            if inside + own in held:
                made = f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"
                yield _line(inside + own, made)
    for name, tensor in constants(graph).items():
        if tensor.numel() > _MOST_NUMBERS:
            raise InvalidChoiceError(
                f"its forward uses {name}, {tensor.numel():,} numbers that its state_dict does not "
                "hold"
            )
        made = f"torch.tensor({tensor.tolist()}, dtype={tensor.dtype})"
        yield _line(name, f"{made}, kept=False")


def _line(name: str, made: str) -> str:
    return f'        place(self, "{name}", {made})'
