"""Networks as people write them: all take the digits, (N, 1, 8, 8), and give ten logits."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Base(nn.Module):
    """A stem, two convolutions that can be replaced, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.blocks: nn.Module = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)
        )
        self.fc = nn.Linear(16, 10)

    def body(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(F.relu(self.stem(x)))
        return y

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.body(x).mean((2, 3)))
        return logits


class Listed(Base):
    """Convolutions, activations and numbers in lists; modules in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(2)]
        self.blocks = nn.ModuleList(convs)
        self.acts = nn.ModuleDict({"3x3": nn.ReLU(), "second": nn.Hardswish(inplace=True)})
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(1)) for _ in range(2)])

    def body(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        assert isinstance(self.blocks, nn.ModuleList)
        for block, name, scale in zip(self.blocks, self.acts, self.scales, strict=True):
            x = self.acts[name](block(x)) * scale
        return x


class Sized(Base):
    """Reads sizes in each way that there is, and branches on them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(16 * 16, 10)

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        assert x.shape[1] == 1, "grey images only"
        x = self.body(x)
        x = x if x.ndim == 4 else x[None]
        x = x * F.avg_pool2d(x, x.shape[2:])
        n, c, h, w = x.shape
        x = x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        if x.dtype.is_floating_point and max(x.size()[2:]) > 4:
            x = F.max_pool2d(x, 2)
        x = torch.cat([part * 2 for part in x.chunk(2, dim=1)][::-1], dim=1)
        x = x.view(x.shape[0], -1)
        if return_features:
            return x
        logits: Tensor = self.fc(x)
        return logits


class Made(Base):
    """Makes tensors for as many images as there are, has constants, and writes into a map."""

    def __init__(self) -> None:
        super().__init__()
        self.offset: Tensor
        self.register_buffer("offset", torch.tensor([0.5]), persistent=False)
        self.register_buffer("steps", torch.arange(4, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        x[:, 0] = 0
        ramp = torch.arange(x.shape[3], device=x.device).to(x.dtype)
        x = torch.cat([x + ramp, torch.ones((x.shape[0], 1, 8, 8), device=x.device)], 1)[:, :16]
        x = (x + self.offset).clamp(-float("inf"), 1e3)
        logits: Tensor = self.fc(x.mean((2, 3)) + torch.tensor([1.0, 2.0]).sum())
        return logits


class Computed(Base):
    """Convolves and multiplies by functions: 9·16·(1 + 3·16)·64 + 16·10 multiply-adds."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(16, 16, 3, 3) * 0.05)
        self.weight = nn.Parameter(torch.randn(16, 10) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.body(x), self.kernel, padding=1).mean((2, 3)) @ self.weight


class Same(nn.Conv2d):
    """Pads as TensorFlow does, as its map's size asks for, and standardises its weight."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = (max(0, -(-side // 2) * 2 + 1 - side) for side in x.size()[-2:])
        if height > 0 or width > 0:
            x = F.pad(x, [width // 2, width - width // 2, height // 2, height - height // 2])
        weight = F.layer_norm(self.weight, self.weight.shape[1:])
        return F.conv2d(x, weight, self.bias, self.stride, (0, 0), self.dilation, self.groups)


class NormAct(nn.BatchNorm2d):
    """Normalisation and activation in one."""

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.ndim == 4, f"expected 4D input (got {x.ndim}D input)")
        training = self.training or self.running_mean is None
        mean, var = self.running_mean, self.running_var
        y = F.batch_norm(x, mean, var, self.weight, self.bias, training, 0.1, self.eps)
        return F.relu(y)


@torch.fx.wrap
def dropped(x: Tensor, p: float, training: bool) -> Tensor:
    """Leaves out whole images, in training."""
    if p == 0.0 or not training:
        return x
    return x * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(1 - p)


class Timm(Base):
    """What timm's networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.down = Same(16, 16, 3, 2)
        self.norm = NormAct(16)
        self.gamma = nn.Parameter(torch.zeros(16))
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 16, 1))

    def body(self, x: Tensor) -> Tensor:
        x = super().body(x)
        x = x + dropped(self.normed(x), 0.1, self.training) * self.gamma.view(1, -1, 1, 1)
        y: Tensor = self.norm(self.down(x))
        return y


class Gate(nn.Module):
    """Weighs channels by what is in all of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(width, 16, 1), nn.Conv2d(16, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        shares: Tensor = self.wide(F.relu(self.narrow(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * shares


class Gated(Base):
    """Without statistics of images in its norms, its numbers grow until rounding decides gates."""

    def __init__(self) -> None:
        super().__init__()
        inner = [
            nn.Sequential(
                *(nn.Conv2d(16, 256, 1), nn.BatchNorm2d(256), nn.ReLU(), Gate(256)),
                *(nn.Conv2d(256, 16, 1), nn.BatchNorm2d(16)),
            )
            for _ in range(12)
        ]
        self.inner = nn.ModuleList(inner)
        for part in self.inner.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out")

    def body(self, x: Tensor) -> Tensor:
        x = super().body(x)
        for block in self.inner:
            x = block(x)
        return x


def around(*layers: nn.Module, width: int = 32) -> nn.Sequential:
    first = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
    return nn.Sequential(
        *first, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
    )


def same() -> nn.Module:
    return around(nn.Conv2d(16, 32, 5, padding="same"))


def valid() -> nn.Module:
    return around(nn.Conv2d(16, 32, 3, padding="valid"))


def reflect() -> nn.Module:
    return around(nn.Conv2d(16, 32, 3, padding=1, padding_mode="reflect"))


def pooled() -> nn.Module:
    return around(
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.Conv2d(16, 32, 3, padding=1),
    )


def upsampled() -> nn.Module:
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    return around(up, nn.Conv2d(16, 32, 3, padding=1))


def transposed() -> nn.Module:
    """9·16·(1 + 16)·64 + 4·16·32·64 + 32·10 multiply-adds."""
    return around(nn.ConvTranspose2d(16, 32, 2, 2))


def keyword() -> nn.Module:
    scales = nn.ParameterDict({"class": nn.Parameter(torch.ones(1))})

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scales = scales

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x * self.scales["class"]
            return y

    parts = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), Scaled()]
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    names = ["in", "act", "class", "is", "pool", "flat", "out"]
    return nn.Sequential(OrderedDict(zip(names, [*parts, *ends], strict=True)))


def compiled() -> nn.Module:
    network = Base()
    network.blocks = torch.compile(network.blocks)  # type: ignore[assignment]
    whole: nn.Module = torch.compile(network)  # type: ignore[assignment]
    return whole


def double() -> nn.Module:
    return Base().double()


def half() -> nn.Module:
    return Base().half()


ACCEPTED: dict[str, Callable[[], nn.Module]] = {
    made.__name__: made
    for made in (
        *(Listed, Sized, Made, Computed, Timm, same, valid, reflect, pooled, upsampled, transposed),
        *(keyword, compiled, double, half),
    )
}


class Random(Base):
    """Drops in eval mode, too."""

    def body(self, x: Tensor) -> Tensor:
        return F.dropout(super().body(x))


class Strided(Base):
    """Looks at memory, whose order trainings choose."""

    def body(self, x: Tensor) -> Tensor:
        x = super().body(x)
        return x.as_strided((x.shape[0], 16, 8, 8), (16 * 64, 64, 8, 1))


class Counted(Base):
    """Its way depends on how many images there are."""

    def body(self, x: Tensor) -> Tensor:
        return super().body(x if x.shape[0] > 1 else -x)


class Weighed(Base):
    """Reads the weight of a convolution that could be another."""

    def forward(self, x: Tensor) -> Tensor:
        first = self.get_submodule("blocks.0")
        assert isinstance(first, nn.Conv2d)
        return super().forward(x) + first.weight.mean()


class Asked(Base):
    """Reads an attribute of a convolution that no other has."""

    def forward(self, x: Tensor) -> Tensor:
        first = self.get_submodule("blocks.0")
        return super().forward(x) * (first.in_channels != "none")


class Changed(Base):
    """One of torch's layers, with another forward, which is random."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.act.forward = F.dropout  # type: ignore[method-assign]

    def body(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(super().body(x))
        return y


class Table(Base):
    """Has many numbers that are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", torch.rand(32, 8, 8), persistent=False)

    def body(self, x: Tensor) -> Tensor:
        return super().body(x) + self.table[:16]


class Custom(Base):
    """Calls an operator that plain torch lacks."""

    def body(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mine.twice(super().body(x))
        return y


@torch.library.custom_op("mine::twice", mutates_args=())
def twice(x: Tensor) -> Tensor:
    return x * 2


@twice.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)
