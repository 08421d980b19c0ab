"""A residual network as Python text."""

from torch import nn

from nas_space.bundle.shipped import Normalise
from nas_space.bundle.written import Written, distinct
from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import POINTWISE, BlockLayers
from nas_space.spaces.residual.network import Bottleneck, Network, Residual

_TEMPLATE = '''\
def network() -> Network:
    """Images (N, {image}), values 0 to 1, to logits (N, {classes}); its weights are not set yet."""
    return Network(
        stem=nn.Sequential(
            {stem},
            nn.BatchNorm2d({first}),
            nn.ReLU(),{pool}
        ),
        blocks=[
{blocks}
        ],
        classifier=nn.Linear({last}, {classes}),{head}
        normalise=Normalise(MEAN, STD),
    )
'''
_POOL = """
            nn.MaxPool2d(3, stride=2, padding=1),"""
_HEAD = """
        head=nn.Sequential({conv}, nn.BatchNorm2d({width}), nn.ReLU()),"""
_SOURCE = "- residual blocks: He et al., Deep Residual Learning, arXiv 1512.03385"


def written(
    architecture: ResidualArchitecture, shape: tuple[int, int, int], classes: int
) -> Written:
    """The network with its blocks, one by one.

    Raises:
        InvalidChoiceError: a type of convolution says no way to be written in plain torch.
    """
    stem, *_ = architecture.layers()
    last, head = architecture.stages[-1].width, ""
    if architecture.head is not None:
        conv = POINTWISE.expression(last, architecture.head)
        last, head = architecture.head, _HEAD.format(conv=conv, width=architecture.head)
    text = _TEMPLATE.format(
        image=", ".join(map(str, shape)),
        classes=classes,
        stem=stem.conv.expression(shape[0], stem.c_out, stem.stride),
        first=stem.c_out,
        pool=_POOL if architecture.stem.pooled else "",
        head=head,
        blocks="\n".join(map(_written, architecture.blocks())),
        last=last,
    )
    convs = distinct(layer.conv for layer in architecture.layers())
    used = {_class(block): None for block in architecture.blocks()}
    return Written(convs, (*used, Network, Normalise), (_SOURCE,), text)


def _class(block: BlockLayers) -> type[nn.Module]:
    return Bottleneck if len(block.layers) > 2 else Residual  # noqa: PLR2004 - see `Block`


def _written(block: BlockLayers) -> str:
    width, hidden, kind = block.width, block.hidden, _class(block)
    lines = [str(width), *([str(hidden)] if kind is Bottleneck else [])]
    lines += map(_expression, block.layers)
    if block.shortcut is not None:
        projection = _expression(block.shortcut)
        lines.append(f"nn.Sequential({projection}, nn.BatchNorm2d({width}))")
    if hidden != width and kind is Residual:
        lines.append(f"hidden={hidden}")
    if block.pooled:
        lines.append("pool=nn.AvgPool2d(2, ceil_mode=True)")
    inside = "\n".join(f"                {line}," for line in lines)
    return f"            {kind.__name__}(  # {block.name}\n{inside}\n            ),"


def _expression(layer: Layer) -> str:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is written elsewhere
    return layer.conv.expression(layer.c_in, layer.c_out, layer.stride)
