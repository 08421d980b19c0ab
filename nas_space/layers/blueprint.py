"""The blueprint separable convolution."""

from torch import nn


class Blueprint(nn.Sequential):
    """A dense 1×1 convolution, then a depthwise K×K one.

    Source: Haase and Amthor, BSConv-U, arXiv 2003.13549.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, 1, bias=False),
            nn.Conv2d(c_out, c_out, kernel, stride, kernel // 2, groups=c_out, bias=False),
        )
