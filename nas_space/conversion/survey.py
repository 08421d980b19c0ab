"""The convolutions of a module, and which of them another type could replace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from nas_space.conversion.site import ConvSite
from nas_space.convs.base import Size
from nas_space.errors import ConvnasError, reason

_STRIDES = (1, 2)


class ConversionError(ConvnasError):
    """A module whose convolutions cannot be replaced, or a choice that matches none of them."""


@dataclass(slots=True)
class _Calls:
    """The calls of a convolution while the module ran."""

    sizes: list[Size] = field(default_factory=list)
    macs: int = 0


def uncompiled(model: nn.Module) -> nn.Module:
    """A module without `torch.compile`, in it and around it, which hides what it does."""
    inside = dict(model.named_children())
    if "_orig_mod" in inside:
        return uncompiled(inside["_orig_mod"])
    model._compiled_call_impl = None  # noqa: SLF001 - what `nn.Module.compile` sets
    for name, part in inside.items():
        model.add_module(name, uncompiled(part))
    return model


def survey(model: nn.Module, images: Tensor) -> tuple[ConvSite, ...]:
    """The convolutions of a module, in the order in which it calls them.

    The module runs once on the images, in eval mode and without gradients. Its modes, weights and
    statistics are not changed.

    Args:
        model: maps (N, C, H, W) to anything.
        images: one or more of them.

    Raises:
        ConversionError: it is no module, has no `Conv2d`, or fails for such images.
    """
    if not isinstance(model, nn.Module):
        raise ConversionError(f"a {type(model).__name__} is no torch.nn.Module")
    seen: dict[nn.Conv2d, _Calls] = {}

    def note(conv: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)  # noqa: S101 - only those are watched
        calls = seen.setdefault(conv, _Calls())
        calls.sizes.append((inputs[0].shape[2], inputs[0].shape[3]))
        per_value = conv.weight.numel() // conv.weight.shape[0]
        calls.macs += output.numel() // output.shape[0] * per_value

    convs = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    hooks = [conv.register_forward_hook(note) for conv in convs]
    try:
        answer(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    # A lazy convolution becomes a Conv2d when it runs.
    names = {part: name for name, part in model.named_modules() if isinstance(part, nn.Conv2d)}
    if not names:
        raise ConversionError(f"{type(model).__name__} has no Conv2d: there is nothing to convert")
    unseen = (conv for conv in names if conv not in seen)
    return tuple(
        _site(names[conv], conv, seen.get(conv, _Calls()), images.shape[1])
        for conv in chain(seen, unseen)
    )


def blank(model: nn.Module, shape: tuple[int, int, int], count: int = 1) -> Tensor:
    """Black images (count, *shape), with the type and device of a module's weights."""
    tensor = next(model.parameters(), torch.zeros(()))
    dtype = tensor.dtype if tensor.is_floating_point() else None
    return torch.zeros(count, *shape, device=tensor.device, dtype=dtype)


def answer(model: nn.Module, images: Tensor) -> Any:  # noqa: ANN401 - whatever it gives
    """The output of a module in eval mode, without gradients; its modes are not changed.

    Raises:
        ConversionError: it fails.
    """
    try:
        with eval_mode(model), torch.no_grad():
            return model(images)
    except Exception as error:  # noqa: BLE001 - the module is the user's
        size = "×".join(map(str, images.shape[1:]))
        raise ConversionError(
            f"{type(model).__name__} fails for an image of {size}: {reason(error)}"
        ) from None


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a module into eval mode, and each of its parts back into its own mode afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _site(name: str, conv: nn.Conv2d, calls: _Calls, channels: int) -> ConvSite:
    obstacle = next(_obstacles(conv, channels), None)
    if not calls.sizes:
        obstacle = "it does not run when the module answers"
    return ConvSite(
        name=name,
        c_in=conv.in_channels,
        c_out=conv.out_channels,
        kernel=(conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        groups=conv.groups,
        sizes=tuple(calls.sizes),
        macs=calls.macs,
        obstacle=obstacle,
    )


def _obstacles(conv: nn.Conv2d, channels: int) -> Iterator[str]:
    """Why no type can replace a convolution, the simplest reason first."""
    own = type(conv).forward is not nn.Conv2d.forward
    if own or hasattr(conv, "parametrizations"):
        yield f"a {type(conv).__name__} computes something else than a Conv2d"
    if conv._forward_hooks or conv._forward_pre_hooks:  # noqa: SLF001 - nothing else tells
        yield "it has hooks, which a replacement would lose"
    if conv.in_channels == channels:
        yield "it reads the image, whose channels are no features"
    height, width = conv.kernel_size
    if height != width or height % 2 == 0:
        yield f"its kernel is {height}×{width}, not odd and square"
    if conv.stride[0] != conv.stride[1] or conv.stride[0] not in _STRIDES:
        yield f"its stride is {conv.stride[0]}×{conv.stride[1]}, neither 1 nor 2"
    if conv.dilation != (1, 1):
        yield f"its kernel is dilated by {conv.dilation[0]}×{conv.dilation[1]}"
    if conv.padding_mode != "zeros":
        yield f"it pads with {conv.padding_mode}, not with zeros"
    half = (height // 2, width // 2)
    if conv.padding not in {
        half,
        "same" if half != (0, 0) else "",
        "valid" if half == (0, 0) else "",
    }:
        yield f"it pads by {_spelled(conv.padding)}, not by {half[0]}: its map has another size"


def _spelled(padding: str | tuple[int, ...]) -> str:
    if isinstance(padding, str):
        return "nothing" if padding == "valid" else padding
    return f"{padding[0]}" if len(set(padding)) == 1 else "×".join(map(str, padding))
