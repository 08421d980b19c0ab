"""ResNets, ResNeXts and SE-ResNets of octave convolutions, and their vanilla counterparts.

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, and the authors' code.

All convolutions of the bottlenecks are octave ones but for the last stage, whose first block takes
the low frequencies back: with its first 1×1 convolution and with its shortcut. So α acts in the
first three stages. The stem is vanilla.
"""

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.papers._calflops import GLUON_COUNTER
from nas_space.papers.base import (
    MACS,
    PARAMS,
    Counting,
    Figure,
    Shape,
    UnknownNetworkError,
)
from nas_space.papers.octave._bottlenecks import Form, Plan, PostActivated, PreActivated, stem
from nas_space.papers.octave._pairs import (
    ALPHA,
    OCT,
    OctaveNetwork,
    OctNet,
    alpha_of,
    shares,
    spell,
)

_BLOCKS = {
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


_FORMS = {
    "v1b": Form(),
    "v2": Form(preactivated=True, eps=1e-4, momentum=0.08),
    "v2b": Form(preactivated=True, biased_shortcut=True),
    "v1e": Form(strided=3, stem=((32, 2), (32, 1), (64, 1)), norm_before_se=True),
    "v1f": Form(
        strided=3, stem=((8, 1), (32, 2), (64, 1)), residual_pool=True, norm_before_se=True
    ),
}


@dataclass(frozen=True, kw_only=True)
class OctResNet(OctaveNetwork):
    """A bottleneck network.

    Attributes:
        depth: 26, 50, 101, 152 or 200.
        form: ``v1b`` (stride in the 3×3 convolution), ``v2`` (pre-activation, the paper's
            ablation), ``v2b`` (the same in the authors' other library: shortcuts have biases),
            ``v1e`` and ``v1f`` (deep stems, stride in the last 1×1 convolution).
        groups: of the 3×3 convolutions; with 32 they are twice as wide (ResNeXt 32×4d).
        se: with squeeze-and-excitation.
        size: of the images, a multiple of 32.
    """

    pattern: ClassVar[str] = (
        OCT + r"(?P<se>se-)?resne(?P<kind>t|xt)-(?P<depth>26|50|101|152|200)"
        r"-(?P<form>v1b|v1e|v1f|v2b|v2)" + ALPHA + r"(?:@(?P<size>[0-9]{2,4}))?"
    )

    depth: int
    form: str = "v1b"
    groups: int = 1
    se: bool = False
    size: int = 224

    def __post_init__(self) -> None:
        """Refuse depths, forms, shares and sizes that the network cannot have."""
        super().__post_init__()
        if self.depth not in _BLOCKS or self.form not in _FORMS:
            raise UnknownNetworkError(
                f"no {self.form} of depth {self.depth}; forms: {', '.join(_FORMS)}; "
                f"depths: {', '.join(map(str, _BLOCKS))}"
            )
        if self.size < 32 or self.size % 32:  # noqa: PLR2004 - five halvings
            raise UnknownNetworkError(f"the image size must be a multiple of 32, not {self.size}")
        # The last stage is vanilla.
        widths = (64 * self._wider * 2**stage for stage in range(3))
        uneven = [c for w in widths for c in shares(w, self.alpha) if c % self.groups]
        if uneven:
            raise UnknownNetworkError(
                f"alpha = {self.alpha} gives a map of {uneven[0]} channels, which {self.groups} "
                "groups do not divide"
            )

    @property
    def name(self) -> str:
        """E.g. ``oct-se-resnet-50-v2-a0.25``, ``resnext-50-v1b``, ``…@320``."""
        size = "" if self.size == 224 else f"@{self.size}"  # noqa: PLR2004 - the usual size
        return spell(f"{self._kind}-{self.depth}-{self.form}", self.alpha) + size

    @property
    def _kind(self) -> str:
        return ("se-" if self.se else "") + ("resnext" if self.groups > 1 else "resnet")

    @property
    def shape(self) -> Shape:
        """Of the images."""
        return 3, self.size, self.size

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The networks of the paper's tables and figure, and of the authors' code."""
        alphas = (None, 0.125, 0.25, 0.5, 0.75)
        for form, depth, alpha in itertools.product(("v2", "v1b"), _BLOCKS, alphas):
            yield cls(depth=depth, form=form, alpha=alpha)
        for form, depth, alpha in itertools.product(("v2", "v1b"), (50, 101), alphas):
            if alpha != 0.125:  # noqa: PLR2004 - 32 groups do not divide 16 low channels
                yield cls(depth=depth, form=form, alpha=alpha, groups=32)
        for alpha in alphas:
            yield cls(depth=50, form="v2", alpha=alpha, se=True)
        for alpha in (None, 0.5):
            yield cls(depth=50, form="v2b", alpha=alpha)
        for form, se in itertools.product(("v1e", "v1f"), (False, True)):
            yield cls(depth=152, form=form, se=se)
            for size in (224, 320):
                yield cls(depth=152, form=form, alpha=0.125, se=se, size=size)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(
            depth=int(parts["depth"] or 0),
            form=parts["form"] or "",
            alpha=alpha_of(parts),
            groups=32 if parts["kind"] == "xt" else 1,
            se=bool(parts["se"]),
            size=int(parts["size"] or 224),
        )

    @property
    def _wider(self) -> int:
        return 2 if self.groups > 1 else 1

    def module(self) -> nn.Module:
        """Stem, four stages of bottlenecks, tail, classifier."""
        form = _FORMS[self.form]
        bottleneck = PreActivated if form.preactivated else PostActivated
        body: OrderedDict[str, nn.Module] = OrderedDict()
        before = (64, 0)
        for stage, count in enumerate(_BLOCKS[self.depth]):
            last = stage == len(_BLOCKS[self.depth]) - 1
            alpha = 0.0 if last else self.alpha
            mid = shares(64 * self._wider * 2**stage, alpha)
            out = shares(256 * 2**stage, alpha)
            for block in range(count):
                body[f"L{stage + 1}_B{block}"] = bottleneck(
                    Plan(
                        widths=(before, mid, out),
                        stride=2 if stage and not block else 1,
                        projects=not block,
                        alpha=self.alpha,
                        groups=self.groups,
                        se=self.se,
                        form=form,
                    )
                )
                before = out
        features = sum(before)
        tail: OrderedDict[str, nn.Module] = OrderedDict()
        if form.preactivated:
            tail = OrderedDict(bn=form.norm(features), relu=nn.ReLU())
        return OctNet(stem(form), nn.Sequential(body), nn.Sequential(tail), features)

    def figures(self) -> tuple[Figure, ...]:
        """What the paper's tables, the authors' README and a careful port print."""
        return _FIGURES.get((self._kind, self.depth, self.form, self.alpha, self.size), ())


_TABLE_2 = "OctConv paper (arXiv 1904.05049), Table 2"
_TABLE_6 = "OctConv paper, Table 6"
_TABLE_7 = "OctConv paper, Table 7"
_README = "README of the OctConv authors' code"
_PORT = "README of d-li14/octconv.pytorch"
_V1F = "the authors' counter gives {} for v1f; the figure is that of v1e, or of counting every ReLU"


def _params(printed: str, source: str) -> Figure:
    return Figure(printed=printed, counted=PARAMS, source=source)


def _macs(printed: str, source: str, counted: Counting = MACS, gap: str = "") -> Figure:
    return Figure(printed=printed, counted=counted, source=source, gap=gap)


_FIGURES = {
    ("resnet", 50, "v2", None, 224): (_macs("4.1G", _TABLE_2),),
    ("resnet", 50, "v2", 0.125, 224): (_macs("3.6G", _TABLE_2),),
    ("resnet", 50, "v2", 0.25, 224): (_macs("3.1G", _TABLE_2),),
    ("resnet", 50, "v2", 0.5, 224): (_params("25.6M", _TABLE_6), _macs("2.4G", _TABLE_2)),
    ("resnet", 50, "v2", 0.75, 224): (_macs("1.9G", _TABLE_2),),
    ("resnet", 26, "v2", 0.25, 224): (_params("16.0M", _TABLE_6), _macs("1.9G", _TABLE_6)),
    ("resnext", 50, "v2", 0.25, 224): (_params("25.0M", _TABLE_6), _macs("3.2G", _TABLE_6)),
    ("resnext", 50, "v2", 0.5, 224): (_params("25.0M", _TABLE_6), _macs("2.4G", _TABLE_6)),
    ("resnext", 101, "v2", 0.25, 224): (_params("44.2M", _TABLE_6), _macs("5.7G", _TABLE_6)),
    ("resnext", 101, "v2", 0.5, 224): (_params("44.2M", _TABLE_6), _macs("4.0G", _TABLE_6)),
    ("resnet", 50, "v1b", None, 224): (_params("25.557M", _PORT), _macs("4.089G", _PORT)),
    ("resnet", 50, "v1b", 0.5, 224): (_params("25.557M", _PORT), _macs("2.367G", _PORT)),
    ("resnet", 101, "v1b", None, 224): (_params("44.549M", _PORT), _macs("7.801G", _PORT)),
    ("resnet", 101, "v1b", 0.5, 224): (_params("44.549M", _PORT), _macs("3.991G", _PORT)),
    ("resnet", 152, "v1b", None, 224): (_params("60.193M", _PORT), _macs("11.514G", _PORT)),
    ("resnet", 152, "v1b", 0.5, 224): (_params("60.193M", _PORT), _macs("5.615G", _PORT)),
    ("resnet", 152, "v1e", 0.125, 224): (
        _params("60.2M", _TABLE_7),
        _macs("10.9G", _TABLE_7, GLUON_COUNTER),
    ),
    ("resnet", 152, "v1e", 0.125, 320): (_macs("22.2G", _TABLE_7, GLUON_COUNTER),),
    ("se-resnet", 152, "v1e", 0.125, 224): (
        _params("66.8M", _TABLE_7),
        _macs("10.9G", _TABLE_7, GLUON_COUNTER),
    ),
    ("se-resnet", 152, "v1e", 0.125, 320): (_macs("22.2G", _TABLE_7, GLUON_COUNTER),),
    ("resnet", 152, "v1f", 0.125, 224): (
        _params("60.2M", _README),
        _macs("10.9G", _README, GLUON_COUNTER, _V1F.format("10.84G")),
    ),
}
"""Kind, depth, form, alpha, image size: what is printed."""
