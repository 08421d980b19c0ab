"""The residual bottlenecks and stems of octave ResNets, after their authors' two libraries."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from nas_space.layers.octave import Octaves, Widths
from nas_space.papers.octave._pairs import Alpha, Both, Each, SqueezeExcite, add, conv, normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the forms of a bottleneck network differ in.

    Attributes:
        preactivated: BN and ReLU before each convolution (He et al., arXiv 1603.05027), not after.
        strided: which convolution of a bottleneck takes the stride.
        stem: channels and stride of each 3×3 convolution; empty for one 7×7 of stride 2.
        residual_pool: a residual bottleneck in the place of the max pooling.
        norm_before_se: a BN without parameters before SE blocks ("SE seems not to converge well").
        biased_shortcut: biases in the convolutions of shortcuts.
        eps: of BN.
        momentum: of BN.
    """

    preactivated: bool = False
    strided: int = 2
    stem: tuple[tuple[int, int], ...] = ()
    residual_pool: bool = False
    norm_before_se: bool = False
    biased_shortcut: bool = False
    eps: float = 1e-5
    momentum: float = 0.1

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """BN with the form's constants."""
        return nn.BatchNorm2d(channels, eps=self.eps, momentum=self.momentum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a bottleneck is made of.

    Attributes:
        widths: (high, low) channels of input, middle and output.
        stride: of the block.
        projects: whether its shortcut is a convolution.
        alpha: None makes all convolutions vanilla.
        groups: of the 3×3 convolution.
        se: with squeeze-and-excitation.
        form: of the network.
    """

    widths: tuple[Widths, Widths, Widths]
    stride: int
    projects: bool
    alpha: Alpha
    groups: int = 1
    se: bool = False
    form: Form = Form()

    def convs(self) -> Iterator[nn.Module]:
        """The three convolutions of the residual branch."""
        before, mid, out = self.widths
        second, third = (self.stride if self.form.strided == at else 1 for at in (2, 3))
        yield conv(before, mid, 1, alpha=self.alpha)
        yield conv(mid, mid, 3, alpha=self.alpha, stride=second, groups=self.groups)
        yield conv(mid, out, 1, alpha=self.alpha, stride=third)

    def shortcut(self) -> nn.Module | None:
        """The 1×1 convolution of the shortcut, if it has one."""
        if not self.projects:
            return None
        return conv(
            self.widths[0],
            self.widths[2],
            1,
            alpha=self.alpha,
            stride=self.stride,
            bias=self.form.biased_shortcut,
        )

    def norm(self, channels: int) -> nn.Module:
        """BN of one map."""
        return self.form.norm(channels)

    def extra_norm(self, *, needed: bool = True) -> nn.Module | None:
        """BN without parameters, where the form has it."""
        if not (self.se and self.form.norm_before_se and needed):
            return None
        return Each(self.widths[0], lambda width: nn.BatchNorm2d(width, affine=False))


class PostActivated(nn.Module):
    """conv - BN - ReLU, twice; conv - BN (- SE), plus the shortcut; ReLU (arXiv 1512.03385)."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        _, mid, out = plan.widths
        self.pre1 = plan.extra_norm()
        self.conv1, self.conv2, self.conv3 = plan.convs()
        self.bn1, self.bn2 = Each(mid, plan.norm), Each(mid, plan.norm)
        self.bn3 = Each(out, plan.norm)
        self.se = SqueezeExcite(out) if plan.se else None
        self.pre4 = plan.extra_norm(needed=plan.projects)
        self.conv4 = plan.shortcut()
        self.bn4 = Each(out, plan.norm) if plan.projects else None
        self.relu = Both(nn.ReLU())

    def forward(self, x: Octaves) -> Octaves:
        """Map a pair to a pair."""
        y = x if self.pre1 is None else self.pre1(x)
        y = self.relu(self.bn1(self.conv1(y)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.se is not None:
            y = self.se(y)
        if self.conv4 is not None and self.bn4 is not None:
            x = x if self.pre4 is None else self.pre4(x)
            x = self.bn4(self.conv4(x))
        summed: Octaves = self.relu(add(y, x))
        return summed


class PreActivated(nn.Module):
    """BN - ReLU - conv, three times (- SE), plus the shortcut (He et al., arXiv 1603.05027).

    A shortcut that is a convolution has a BN and ReLU of its own before it.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        before, mid, out = plan.widths
        self.bn1 = Each(before, plan.norm)
        self.bn2, self.bn3 = Each(mid, plan.norm), Each(mid, plan.norm)
        self.conv1, self.conv2, self.conv3 = plan.convs()
        self.se = SqueezeExcite(out) if plan.se else None
        self.bn4 = Each(before, plan.norm) if plan.projects else None
        self.conv4 = plan.shortcut()
        self.relu = Both(nn.ReLU())

    def forward(self, x: Octaves) -> Octaves:
        """Map a pair to a pair."""
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        y = self.conv3(self.relu(self.bn3(y)))
        if self.se is not None:
            y = self.se(y)
        if self.conv4 is not None and self.bn4 is not None:
            x = self.conv4(self.relu(self.bn4(x)))
        return add(y, x)


def stem(form: Form) -> nn.Sequential:
    pool = _ResidualPool(form) if form.residual_pool else nn.MaxPool2d(3, 2, 1)
    if not form.stem:
        first = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        return normalised(first, form.norm, relu=nn.ReLU(), pool=pool)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    c_in = 3
    for number, (width, stride) in enumerate(form.stem):
        conv = nn.Conv2d(c_in, width, 3, stride, 1, bias=False)
        layers[str(number)] = normalised(conv, form.norm, relu=nn.ReLU())
        c_in = width
    layers["pool"] = pool
    return nn.Sequential(layers)


class _ResidualPool(nn.Module):
    """The residual bottleneck 64-32-64 of stride 2 that v1f has where others pool."""

    def __init__(self, form: Form) -> None:
        super().__init__()

        def layer(c_in: int, c_out: int, kernel: int, stride: int, **more: nn.Module) -> nn.Module:
            conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
            return normalised(conv, form.norm, **more)

        self.c1 = layer(64, 32, 1, 1, relu=nn.ReLU())
        self.c2 = layer(32, 32, 3, 2, relu=nn.ReLU())
        self.c3 = layer(32, 64, 1, 1)
        self.c4 = layer(64, 64, 1, 2)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 64, H, W) to (N, 64, H/2, W/2)."""
        deep = self.c3(self.c2(self.c1(x)))
        pooled: Tensor = self.relu(deep + self.c4(x))
        return pooled
