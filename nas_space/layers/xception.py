"""The depthwise separable convolution."""

from torch import nn


class Xception(nn.Sequential):
    """A depthwise K×K convolution, then a dense 1×1 one.

    Source: Chollet, Xception, arXiv 1610.02357.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_in, kernel, stride, kernel // 2, groups=c_in, bias=False),
            nn.Conv2d(c_in, c_out, 1, bias=False),
        )
