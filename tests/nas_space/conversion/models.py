"""Modules as users have them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Small(nn.Module):
    """Two stages, a depthwise layer, a bias, a shared layer, one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=2, bias=False)
        self.shared = nn.Conv2d(32, 32, 3, padding="same", bias=False)
        self.again = self.shared
        self.unused = nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.wide(F.relu(self.stem(x)))))
        x = self.grouped(self.depthwise(x))
        x = self.again(F.relu(self.shared(x)))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Controlled(nn.Module):
    """Its way depends on what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 16, 3, padding=1)
        self.two = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.one(x)
        if y.mean() > -1e9:
            y = self.two(y)
        return {"map": y, "mean": y.mean(dim=(2, 3))}


class Nothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.mean(dim=(2, 3)))
        return y


def small() -> nn.Module:
    return Small()


def broken() -> nn.Module:
    raise RuntimeError("no weights\nat all")


def number() -> int:
    return 3


def obstacles() -> nn.ModuleDict:
    """A convolution for each reason why none can be replaced."""
    hooked = nn.Conv2d(8, 8, 3, padding=1)
    hooked.register_forward_hook(lambda *_: None)
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))
    return nn.ModuleDict(
        {
            "it has hooks": hooked,
            "computes something else": normed,
            "its kernel is 1×7": nn.Conv2d(8, 8, (1, 7), padding=(0, 3)),
            "its kernel is 2×2": nn.Conv2d(8, 8, 2, padding=1),
            "its stride is 3×3": nn.Conv2d(8, 8, 3, stride=3, padding=1),
            "its stride is 1×2": nn.Conv2d(8, 8, 3, stride=(1, 2), padding=1),
            "is dilated by 2×2": nn.Conv2d(8, 8, 3, padding=2, dilation=2),
            "pads with reflect": nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
            "pads by 0, not by 1": nn.Conv2d(8, 8, 3),
            "pads by nothing, not by 1": nn.Conv2d(8, 8, 3, padding="valid"),
        }
    )


class Row(nn.Module):
    """Eight channels of the image's three, through one convolution after the other."""

    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x, x], dim=1)[:, :8]
        for part in self.parts.values():
            x = part(x)
        return x


class Tiny(nn.Module):
    """For the digits: one channel, 8×8 pixels, ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.one = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.two = nn.Conv2d(32, 32, 3, padding=1, groups=2, bias=False)
        self.scale = nn.Parameter(torch.full((32, 1, 1), 0.5))
        self.register_buffer("notes", torch.zeros(3), persistent=False)  # nobody reads them
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.one(F.relu(self.stem(x)))))
        x = x + self.scale * F.relu(self.two(x))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Auxiliary(Tiny):
    """Gives two outputs in training."""

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class Tied(Tiny):
    """Has weights by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.again = self.two


class Choosy(Tiny):
    """Its way depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum() > 0 else -x)


class Own(nn.Conv2d):
    """A subclass that computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Irreplaceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), Own(16, 16, 3, padding=1))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x).mean(dim=(2, 3)))
        return logits
