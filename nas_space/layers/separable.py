"""The depthwise separable convolution with a nonlinearity inside."""

from torch import nn


class Separable(nn.Sequential):
    """A depthwise K×K convolution, BN and ReLU, then a dense 1×1 convolution.

    Source: Howard et al., MobileNets, arXiv 1704.04861.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_in, kernel, stride, kernel // 2, groups=c_in, bias=False),
            nn.BatchNorm2d(c_in),
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, 1, bias=False),
        )
