"""Interleaved group convolutions of two stages."""

from torch import nn


class IGC(nn.Sequential):
    """A K×K convolution in L groups, then a 1×1 one in M groups, each across all of the first.

    Source: Zhang et al., Interleaved Group Convolutions, arXiv 1707.02725.
    """

    def __init__(
        self, c_in: int, c_out: int, *, L: int, M: int, stride: int = 1, kernel: int = 3
    ) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=L, bias=False),
            nn.ChannelShuffle(L),
            nn.Conv2d(c_out, c_out, 1, groups=M, bias=False),
            nn.ChannelShuffle(M),
        )
