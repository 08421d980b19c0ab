"""A residual network as Python text."""

from nas_space.bundle.shipped import Normalise
from nas_space.bundle.written import Written, distinct
from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import BlockLayers
from nas_space.spaces.residual.network import Network, Residual

_TEMPLATE = '''\
def network() -> Network:
    """Images (N, {image}), values 0 to 1, to logits (N, {classes}); its weights are not set yet."""
    return Network(
        stem=nn.Sequential(
            {stem},
            nn.BatchNorm2d({first}),
            nn.ReLU(),
        ),
        blocks=[
{blocks}
        ],
        classifier=nn.Linear({last}, {classes}),
        normalise=Normalise(MEAN, STD),
    )
'''
_SOURCE = "- residual blocks: He et al., Deep Residual Learning, arXiv 1512.03385"


def written(
    architecture: ResidualArchitecture, shape: tuple[int, int, int], classes: int
) -> Written:
    """The network with its blocks, one by one.

    Raises:
        InvalidChoiceError: a type of convolution says no way to be written in plain torch.
    """
    stem, *_ = architecture.layers()
    text = _TEMPLATE.format(
        image=", ".join(map(str, shape)),
        classes=classes,
        stem=stem.conv.expression(shape[0], stem.c_out, stem.stride),
        first=stem.c_out,
        blocks="\n".join(map(_written, architecture.blocks())),
        last=architecture.stages[-1].width,
    )
    convs = distinct(layer.conv for layer in architecture.layers())
    return Written(convs, (Residual, Network, Normalise), (_SOURCE,), text)


def _written(block: BlockLayers) -> str:
    width, hidden = block.second.c_out, block.first.c_out
    lines = [str(width), _expression(block.first), _expression(block.second)]
    if block.shortcut is not None:
        projection = _expression(block.shortcut)
        lines.append(f"nn.Sequential({projection}, nn.BatchNorm2d({width}))")
    if hidden != width:
        lines.append(f"hidden={hidden}")
    if block.pooled:
        lines.append("pool=nn.AvgPool2d(2, ceil_mode=True)")
    inside = "\n".join(f"                {line}," for line in lines)
    return f"            Residual(  # {block.name}\n{inside}\n            ),"


def _expression(layer: Layer) -> str:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is written elsewhere
    return layer.conv.expression(layer.c_in, layer.c_out, layer.stride)
