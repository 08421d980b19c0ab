"""A residual network as Python text."""

from nas_space.bundle.written import Written, distinct
from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.architecture import BlockLayers, ResidualArchitecture
from nas_space.spaces.residual.network import Residual

_TEMPLATE = '''\
class Network(nn.Module):
    """Images (N, {image}), values 0 to 1, to logits (N, {classes})."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(-1, 1, 1), persistent=False)
        self.stem = nn.Sequential(
            {stem},
            nn.BatchNorm2d({first}),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
{blocks}
        )
        self.classifier = nn.Linear({last}, {classes})

    def forward(self, images: Tensor) -> Tensor:
        x = (images - self.mean) / self.std
        x = self.blocks(self.stem(x))
        return self.classifier(x.mean(dim=(2, 3)))
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
        stem=stem.conv.expression(shape[0], stem.c_out),
        first=stem.c_out,
        blocks="\n".join(_written(block) for block in architecture.blocks()),
        last=architecture.stages[-1].width,
    )
    convs = distinct(layer.conv for layer in architecture.layers())
    return Written(convs, (Residual,), (_SOURCE,), text)


def _written(block: BlockLayers) -> str:
    lines = [str(block.first.c_out), _expression(block.first), _expression(block.second)]
    if block.shortcut is not None:
        projection = _expression(block.shortcut)
        lines.append(f"nn.Sequential({projection}, nn.BatchNorm2d({block.shortcut.c_out}))")
    inside = "\n".join(f"                {line}," for line in lines)
    return f"            Residual(  # {block.name}\n{inside}\n            ),"


def _expression(layer: Layer) -> str:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is written elsewhere
    return layer.conv.expression(layer.c_in, layer.c_out, layer.stride)
