"""Interleaved group convolutions of any number of stages."""

from torch import nn


class IGCV2(nn.Sequential):
    """A K×K convolution in groups of K1 channels, then 1×1 ones in groups of K2, K3 and K4.

    The groups of each take one channel from as many groups before as they have channels. Channel
    c is a number with digits of radices K1, K2, …: each stage mixes the digit that runs fastest,
    and the shuffle after it makes that digit the slowest.

    Source: Xie et al., IGCV2, arXiv 1804.06202.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        K1: int,
        K2: int,
        K3: int = 1,
        K4: int = 1,
        stride: int = 1,
        kernel: int = 3,
    ) -> None:
        groups = c_out // K1
        first = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers: list[nn.Module] = [first, nn.ChannelShuffle(groups)]
        for groups in [c_out // channels for channels in (K2, K3, K4) if channels > 1]:
            layers.append(nn.Conv2d(c_out, c_out, 1, groups=groups, bias=False))
            layers.append(nn.ChannelShuffle(groups))
        super().__init__(*layers)
