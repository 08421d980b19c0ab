"""The module of a residual architecture, in plain torch; exports carry the text of its block."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.architecture import BlockLayers, ResidualArchitecture


class Residual(nn.Module):
    """conv - BN - ReLU - conv - BN, plus the shortcut, ReLU.

    Source: He et al., Deep Residual Learning, arXiv 1512.03385.
    """

    def __init__(
        self, width: int, conv1: nn.Module, conv2: nn.Module, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv2
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, width, ceil(H/stride), ceil(W/stride))."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Network(nn.Module):
    """Stem, residual stages, global average pool, linear classifier."""

    def __init__(self, architecture: ResidualArchitecture, channels: int, classes: int) -> None:
        super().__init__()
        stem, *_ = architecture.layers()
        self.stem = nn.Sequential(
            stem.conv.build(channels, stem.c_out), nn.BatchNorm2d(stem.c_out), nn.ReLU()
        )
        self.blocks = nn.Sequential(*map(_block, architecture.blocks()))
        self.classifier = nn.Linear(architecture.stages[-1].width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to logits (N, classes)."""
        x = self.blocks(self.stem(x))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits


def _block(layers: BlockLayers) -> Residual:
    projection = None
    if layers.shortcut is not None:
        norm = nn.BatchNorm2d(layers.shortcut.c_out)
        projection = nn.Sequential(_make(layers.shortcut), norm)
    return Residual(layers.first.c_out, _make(layers.first), _make(layers.second), projection)


def _make(layer: Layer) -> nn.Module:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is made elsewhere
    return layer.conv.build(layer.c_in, layer.c_out, layer.stride)
