"""The module of a residual architecture, in plain torch; exports carry the text of its classes."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom


class Residual(nn.Module):
    """conv - BN - ReLU - conv - BN, plus the shortcut, ReLU.

    Args:
        width: channels of its output.
        conv1: from the input's channels to `hidden`; may have a stride.
        conv2: from `hidden` to `width` channels.
        shortcut: None is the identity.
        hidden: None is `width`; where it is more, no ReLU follows the addition.
        pool: halves the map before all else; None does not.

    Source: He et al., Deep Residual Learning, arXiv 1512.03385; wider inside: Sandler et al.,
    MobileNetV2, arXiv 1801.04381.
    """

    def __init__(
        self,
        width: int,
        conv1: nn.Module,
        conv2: nn.Module,
        shortcut: nn.Module | None = None,
        *,
        hidden: int | None = None,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(hidden or width)
        self.conv2 = conv2
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.linear = hidden is not None and hidden > width

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, width, ceil(H/s), ceil(W/s)), s the stride or the pool's."""
        if self.pool is not None:
            x = self.pool(x)
        y = F.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.bn2(self.conv2(y)) + self.shortcut(x)
        return out if self.linear else F.relu(out)


class Bottleneck(nn.Module):
    """conv - BN - ReLU - conv - BN - ReLU - conv - BN, plus the shortcut, ReLU.

    Args:
        width: channels of its output.
        hidden: channels between the convolutions.
        conv1: from the input's channels to `hidden`.
        conv2: from `hidden` to `hidden` channels; may have a stride.
        conv3: from `hidden` to `width` channels.
        shortcut: None is the identity.
        pool: halves the map before all else; None does not.

    Source: He et al., Deep Residual Learning, arXiv 1512.03385. Where `hidden` is more than `width`
    no ReLU follows the addition: Sandler et al., MobileNetV2, arXiv 1801.04381.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        conv1: nn.Module,
        conv2: nn.Module,
        conv3: nn.Module,
        shortcut: nn.Module | None = None,
        *,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = conv2
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = conv3
        self.bn3 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.linear = hidden > width

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, width, ceil(H/s), ceil(W/s)), s the stride or the pool's."""
        if self.pool is not None:
            x = self.pool(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        out: Tensor = self.bn3(self.conv3(y)) + self.shortcut(x)
        return out if self.linear else F.relu(out)


class Network(nn.Module):
    """Stem, residual blocks, perhaps a head, global average pool, linear classifier.

    Args:
        stem: reads the images (N, C, H, W).
        blocks: in their order.
        classifier: from the channels of the last map to the classes.
        head: behind the blocks; None has none.
        normalise: brings the images to what the stem was trained on; None takes them as they are.
    """

    def __init__(
        self,
        stem: nn.Module,
        blocks: Iterable[nn.Module],
        classifier: nn.Linear,
        head: nn.Module | None = None,
        normalise: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.head = head
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to logits (N, classes)."""
        if self.normalise is not None:
            x = self.normalise(x)
        x = self.blocks(self.stem(x))
        if self.head is not None:
            x = self.head(x)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits
