"""Modules that know several ways to compute, beside torch's own that know one."""

import torch
from nas_space.grouped import GroupConv2d
from nas_space.interleaved import Interleaved
from torch import Tensor, nn


def plain(module: nn.Module) -> nn.Module:
    """The same parameters in torch's own modules, which know no other way."""
    if isinstance(module, Interleaved):
        return nn.Sequential(*map(plain, module))
    if isinstance(module, GroupConv2d):
        same = nn.Conv2d(
            module.in_channels,
            module.out_channels,
            module.kernel_size,  # type: ignore[arg-type]
            module.stride,  # type: ignore[arg-type]
            module.padding,  # type: ignore[arg-type]
            module.dilation,  # type: ignore[arg-type]
            module.groups,
            bias=False,
        )
        same.weight = nn.Parameter(module.weight.detach().clone())
        return same
    return module


def outputs_and_gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    torch.manual_seed(1)
    return [y.detach(), *torch.autograd.grad(y, [x, *module.parameters()], torch.randn_like(y))]


def close(one: list[Tensor], other: list[Tensor], tolerance: float) -> bool:
    return all(
        torch.allclose(a, b, atol=tolerance * float(b.abs().max()))
        for a, b in zip(one, other, strict=True)
    )
