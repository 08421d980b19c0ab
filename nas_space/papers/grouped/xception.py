"""Xception, the network that IGC with one channel a partition is compared with.

Source: Chollet, *Xception: Deep Learning with Depthwise Separable Convolutions*, CVPR 2017,
arXiv 1610.02357, Figure 5.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from nas_space.convs.xception import Xception
from nas_space.papers._blocks import Sum, classify, conv_norm_relu, shortcut
from nas_space.papers.base import PARAMS, Figure, OnlyMember, Shape

_norm = nn.BatchNorm2d


def _separable(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(Xception().build(c_in, c_out), _norm(c_out))


@dataclass(frozen=True, kw_only=True)
class XceptionNetwork(OnlyMember):
    """The whole network, for ImageNet at 299 pixels."""

    paper: ClassVar[str] = Xception.paper
    pattern: ClassVar[str] = "xception"

    @property
    def shape(self) -> Shape:
        """ImageNet's images as the paper resizes them."""
        return 3, 299, 299

    def module(self) -> nn.Module:
        """Entry flow, eight middle blocks, exit flow; the two stem convolutions do not pad."""
        return nn.Sequential(
            conv_norm_relu(nn.Conv2d(3, 32, 3, 2, bias=False), 32, _norm),
            conv_norm_relu(nn.Conv2d(32, 64, 3, bias=False), 64, _norm),
            _shrink(64, 128, 128, relu_first=False),
            _shrink(128, 256, 256),
            _shrink(256, 728, 728),
            *(_middle(728) for _ in range(8)),
            _shrink(728, 728, 1024),
            _separable(1024, 1536),
            nn.ReLU(),
            _separable(1536, 2048),
            nn.ReLU(),
            classify(2048, 1000),
        )

    def figures(self) -> tuple[Figure, ...]:
        """The number of trainable parameters."""
        source = "assertion in osmr/imgclsmob, xception.py; Keras' table with BN statistics"
        return (Figure(printed="22855952", counted=PARAMS, source=source),)


def _shrink(c_in: int, mid: int, c_out: int, *, relu_first: bool = True) -> nn.Sequential:
    deep = nn.Sequential(
        nn.ReLU() if relu_first else nn.Identity(),
        _separable(c_in, mid),
        nn.ReLU(),
        _separable(mid, c_out),
        nn.MaxPool2d(3, 2, 1),
    )
    return nn.Sequential(Sum(deep, shortcut(c_in, c_out, 2, _norm)))


def _middle(channels: int) -> nn.Module:
    three = [layer for _ in range(3) for layer in (nn.ReLU(), _separable(channels, channels))]
    return Sum(nn.Sequential(*three), nn.Identity())
