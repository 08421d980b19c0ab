"""What the tests of fast training measure: outputs and gradients, and how far off they are."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.fast.kernels.convolution import ConvKernel, ConvolutionFunction, Shape


def rows(*shape: int, half: bool = False, seed: int | None = None) -> Tensor:
    """Random maps as rows of channels."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    return x.to(torch.bfloat16 if half else torch.float32).contiguous(
        memory_format=torch.channels_last
    )


def shape_of(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Shape:
    images, c_in, height, width = x.shape
    c_out, _, kernel, _ = weight.shape
    half = x.dtype is torch.bfloat16
    return Shape(images, c_in, c_out, groups, height, width, kernel, stride, half)


def convolved(
    kernel: ConvKernel, x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1
) -> Tensor:
    """A convolution by a kernel, which has to serve it."""
    shape = shape_of(x, weight, stride, groups)
    assert kernel.lanes is not None
    assert kernel.serves(shape, kernel.lanes)
    y: Tensor = ConvolutionFunction.apply(x, weight, kernel, shape)
    return y


def found_and_exact(
    function: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    weight: Tensor,
    stride: int = 1,
    groups: int = 1,
) -> list[tuple[Tensor, Tensor]]:
    """Output and gradients as a function gives them, and as defined, in double precision."""
    x, weight = x.requires_grad_(), weight.requires_grad_()
    y = function(x, weight)
    dy = rows(*y.shape).to(y.dtype)
    exact = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    expected = F.conv2d(*exact, None, stride, weight.shape[2] // 2, 1, groups)
    gradients = torch.autograd.grad(y, [x, weight], dy)
    theirs = torch.autograd.grad(expected, exact, dy.double())
    return [(y, expected.detach()), *zip(gradients, theirs, strict=True)]


def farthest(found: Tensor, exact: Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((found.detach().double() - exact).abs().max() / exact.abs().max())


def outputs_and_gradients(module: Callable[[Tensor], Tensor], *given: Tensor) -> list[Tensor]:
    """Of the first of what is given, a map, and of the rest, weights; of a module of all its."""
    x = given[0].detach().clone(memory_format=torch.preserve_format).requires_grad_()
    weights = list(module.parameters()) if isinstance(module, nn.Module) else list(given[1:])
    y = module(x)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    gradients = torch.autograd.grad(y, [x, *weights], dy, allow_unused=True, materialize_grads=True)
    return [y.detach(), *gradients]


def close(one: Sequence[Tensor], other: Sequence[Tensor], tolerance: float) -> bool:
    return all(
        torch.allclose(a, b, atol=tolerance * float(b.abs().max()))
        for a, b in zip(one, other, strict=True)
    )


def way(y: Tensor) -> str:
    """The operation that made a tensor, by autograd's name."""
    return type(y.grad_fn).__name__


def unlike(x: Tensor) -> Tensor:
    """A copy in which the first axis runs fastest in memory."""
    axes = tuple(reversed(range(x.dim())))
    return x.detach().permute(axes).contiguous().permute(axes)
