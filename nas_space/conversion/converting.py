"""A module with some of its convolutions replaced, and what was replaced."""

import copy
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from nas_space.cli import short
from nas_space.conversion.replacing import macs
from nas_space.conversion.site import ConvSite
from nas_space.conversion.spec import ConvSpec
from nas_space.conversion.survey import ConversionError, answer, blank, survey, uncompiled
from nas_space.convs import Conv, InvalidChoiceError
from nas_space.costs.cost import Cost
from nas_space.costs.counting import count
from nas_space.registry import did_you_mean
from nas_space.weights import block_diagonal, initialise

Choices = str | Conv | Mapping[str, str | Conv]
"""One choice for all layers, or choices by patterns of layer names, with * and ?."""
HEADINGS = ("layer", "was", "MACs", "is", "MACs")
"""Of a conversion's rows."""


@dataclass(frozen=True, slots=True)
class ConvertedLayer:
    """A convolution of the original, and what replaces it.

    Attributes:
        site: its place and its description.
        conv: what replaces it; None if it stays.
        reason: why it stays; None if it was replaced, or no choice matches it.
        from_dense: whether its new weights come from the old ones, see `Conv.init_from_dense`.
    """

    site: ConvSite
    conv: Conv | None = None
    reason: str | None = None
    from_dense: bool = False

    @property
    def macs(self) -> int:
        """Multiply-adds of the layer for one image, after the conversion."""
        if self.conv is None:
            return self.site.macs
        return macs(self.conv, self.site)

    @property
    def _params_saved(self) -> int:
        if self.conv is None:
            return 0
        return self.site.weights - self.conv.params(self.site.c_in, self.site.c_out)


@dataclass(frozen=True)
class Conversion:
    """The result of `convert`.

    Attributes:
        model: a module with inputs and outputs of the same shapes as the original.
        layers: every `Conv2d` of the original, in the order in which it calls them.
        before: cost of the original: parameters, and MACs for one image.
    """

    model: nn.Module
    layers: tuple[ConvertedLayer, ...]
    before: Cost

    @property
    def replaced(self) -> tuple[ConvertedLayer, ...]:
        """The layers that were replaced."""
        return tuple(layer for layer in self.layers if layer.conv is not None)

    @cached_property
    def after(self) -> Cost:
        """Cost of `model`, in closed form from that of the original."""
        saved = sum(layer.site.macs - layer.macs for layer in self.layers)
        params = sum(layer._params_saved for layer in self.layers)  # noqa: SLF001 - of this module
        return Cost(self.before.params - params, self.before.macs - saved)

    @property
    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """For each layer, as texts: its name, what it was, its MACs, what it is, its MACs."""
        return list(map(_row, self.layers))

    @property
    def sums(self) -> str:
        """What was replaced and saved, in a line."""
        before, after = self.before, self.after
        share = after.macs / before.macs if before.macs else 1.0
        return (
            f"{len(self.replaced)} of {len(self.layers)} convolutions replaced: "
            f"{short(before.macs)} → {short(after.macs)} MACs an image ({share:.2f}), "
            f"{short(before.params)} → {short(after.params)} parameters"
        )

    def __str__(self) -> str:
        """A line per layer (what it was, what it is, why it stays), and the sums."""
        rows = [HEADINGS, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if number in {2, 4} else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, self.sums])


def convert(
    model: nn.Module,
    choices: Choices,
    *,
    shape: tuple[int, int, int] = (3, 224, 224),
    init_from_dense: bool = False,
    seed: int = 0,
) -> Conversion:
    """Replace convolutions of a module by others with maps of the same shapes and fewer MACs.

    The module itself is not changed: the result holds a copy. A layer that cannot have the choice,
    or would have no fewer MACs with it, stays as it is, weights included, with the reason.

    Args:
        model: any module with `torch.nn.Conv2d` in it. It must call them, and not read their
            weights: a replacement has no attribute `weight`.
        choices: what layers should be, spelt as `nas_space.conversion.spec.ConvSpec` reads them. If
            several patterns match a layer's name, the first counts.
        shape: channels, height and width of the images; MACs are for those.
        init_from_dense: initialise new layers from the old weights, if the type can, see
            `Conv.init_from_dense`. Other weights are drawn as in `nas_space.spaces.building.build`.
        seed: of those draws.

    Raises:
        ConversionError: it is no module, it has no convolutions, it fails for such images (before
            or after), or a pattern matches no convolution.
        InvalidChoiceError: a choice is misspelt.
    """
    specs = _read(choices)
    if not isinstance(model, nn.Module):
        raise ConversionError(f"a {type(model).__name__} is no torch.nn.Module")
    made = uncompiled(copy.deepcopy(model))
    images = blank(made, shape)
    sites = survey(made, images)
    _check_names(specs, sites)
    # Count the copy, which has run: a lazy layer has no weights before that.
    before = count(made, shape)
    expected = _shapes(answer(made, images))
    generator = torch.Generator().manual_seed(seed)
    layers = tuple(
        _replace(made, site, specs, generator, init_from_dense=init_from_dense) for site in sites
    )
    if _shapes(answer(made, images)) != expected:
        raise ConversionError(f"{type(model).__name__} gives outputs of other shapes, converted")
    return Conversion(made, layers, before)


def _read(choices: Choices) -> dict[str, ConvSpec]:
    given = choices if isinstance(choices, Mapping) else {"*": choices}
    return {
        pattern: ConvSpec.of(choice) if isinstance(choice, Conv) else ConvSpec.read(choice)
        for pattern, choice in given.items()
    }


def _check_names(specs: Mapping[str, ConvSpec], sites: tuple[ConvSite, ...]) -> None:
    names = [site.name for site in sites]
    for pattern in specs:
        if not fnmatch.filter(names, pattern):
            near = did_you_mean(pattern, names) or f"one of them is {names[0]}"
            raise ConversionError(f"no convolution's name is like {pattern!r}; {near}")


def _replace(
    model: nn.Module,
    site: ConvSite,
    specs: Mapping[str, ConvSpec],
    generator: torch.Generator,
    *,
    init_from_dense: bool,
) -> ConvertedLayer:
    """Replace the convolution at a site, if a spec asks for it and it fits."""
    matching = (spec for pattern, spec in specs.items() if fnmatch.fnmatch(site.name, pattern))
    spec = next(matching, None)
    if spec is None:
        return ConvertedLayer(site)
    try:
        conv = spec.choose(site)
    except InvalidChoiceError as error:
        return ConvertedLayer(site, reason=str(error))
    return ConvertedLayer(
        site, conv, from_dense=put(model, site, conv, generator, init_from_dense=init_from_dense)
    )


def put(
    model: nn.Module,
    site: ConvSite,
    conv: Conv,
    generator: torch.Generator,
    *,
    init_from_dense: bool,
) -> bool:
    """Replace a convolution of a module, in place.

    Args:
        model: that contains it.
        site: of the convolution; without an obstacle.
        conv: the replacement; it fits the widths.
        generator: of new weights.
        init_from_dense: whether to make them from the old ones, if the type can.

    Returns:
        Whether the weights come from the old ones.
    """
    old = model.get_submodule(site.name)
    assert isinstance(old, nn.Conv2d)  # noqa: S101 - as `survey` found it
    new, from_dense = _made(conv, site, old, generator, init_from_dense=init_from_dense)
    # It may have several names.
    everything = list(model.named_modules(remove_duplicate=False))
    for name in [name for name, part in everything if part is old]:
        model.set_submodule(name, new)
    return from_dense


def _made(
    conv: Conv, site: ConvSite, old: nn.Conv2d, generator: torch.Generator, *, init_from_dense: bool
) -> tuple[nn.Module, bool]:
    """The new convolution, and whether its weights come from the old one."""
    with torch.random.fork_rng(devices=()):
        module = conv.build(site.c_in, site.c_out, site.stride[0])
    initialise(module, generator)
    from_dense = False
    if init_from_dense:
        with torch.no_grad():
            weight = old.weight.detach().float().cpu()
            dense = block_diagonal(weight, old.groups, old.groups) if old.groups > 1 else weight
            from_dense = conv.init_from_dense(module, dense)
    new = module if old.bias is None else Biased(module, old.bias.detach().clone())
    new.to(device=old.weight.device, dtype=old.weight.dtype)
    new.train(old.training)
    return new, from_dense


class Biased(nn.Module):
    """A convolution of ours, which has no bias, with the bias that the original had."""

    def __init__(self, conv: nn.Module, bias: Tensor) -> None:
        super().__init__()
        self.conv = conv
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        y: Tensor = self.conv(x)
        return y + self.bias.view(-1, 1, 1)


def _shapes(output: object) -> object:
    """The shapes of the tensors in a module's output, in any nesting."""
    if isinstance(output, Tensor):
        return tuple(output.shape)
    if isinstance(output, Mapping):
        return {name: _shapes(part) for name, part in output.items()}
    if isinstance(output, list | tuple):
        return [_shapes(part) for part in output]
    return type(output)


def _row(layer: ConvertedLayer) -> tuple[str, str, str, str, str]:
    site = layer.site
    is_now = str(layer.conv) if layer.conv is not None else f"as it was: {layer.reason}"
    if layer.conv is None and layer.reason is None:
        is_now = "as it was"
    after = short(layer.macs) if layer.conv is not None else ""
    return site.name, str(site), short(site.macs), is_now, after
