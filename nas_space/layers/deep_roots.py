"""The group convolution of deep roots, with a pointwise one."""

from torch import nn


class DeepRoots(nn.Sequential):
    """A K×K group convolution, then a dense 1×1 one over all channels.

    Source: Ioannou et al., Deep Roots, arXiv 1605.06489.
    """

    def __init__(
        self, c_in: int, c_out: int, *, groups: int, stride: int = 1, kernel: int = 3
    ) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.Conv2d(c_out, c_out, 1, bias=False),
        )
