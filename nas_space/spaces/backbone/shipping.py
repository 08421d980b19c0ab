"""Whether a backbone can be shipped: seen by writing it as an export would, and running that."""

import itertools
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Timer
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_space.bundle.preprocessing import Preprocessing
from nas_space.bundle.source import source
from nas_space.bundle.weights import write_weights
from nas_space.conversion.replacing import options
from nas_space.costs.cost import Task
from nas_space.errors import ConvnasError, reason
from nas_space.inference import for_inference
from nas_space.scratch import scratch
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError
from nas_space.spaces.backbone.architecture import Backbone, BackboneArchitecture, kept
from nas_space.spaces.backbone.following import COUNTS
from nas_space.spaces.building import build

_MAX_DIFFERENCE = 1e-4
"""Of equal outputs, as a share of the largest of them where that is above 1."""
_ROUNDING, _MAX_ROUNDING = 2.0**-20, 3
"""A small change of the images, and how many times what it changes may be rounding."""
_NUDGE = 0.02
"""Deviation of what is added to weights: fresh ones may be zero, and hide what comes before."""
_LAYOUTS = (torch.contiguous_format, torch.channels_last)
_PATIENCE = 2.0
"""Seconds without a word."""


def check_shippable(backbone: Backbone) -> None:
    """Compare what an export would write with what would be trained.

    Once with all layers as they are, and once with a type in each place that can have one: outputs
    in eval mode, and whether gradients flow in training, for images that lie in memory row by row
    as well, as those of trainings do.

    Raises:
        InvalidArchitectureError: they differ, or one of them fails; the message names where.
    """
    choices = [list(options(site).values()) for site in backbone.sites]
    typed = (found[place % len(found)][0] for place, found in enumerate(choices))
    line = f"comparing {backbone.name} with an export of it"
    waiting = Timer(_PATIENCE, print, (line,), {"file": sys.stderr})
    waiting.start()
    threads = torch.get_num_threads()
    # So few images are no work for many threads, which would wait for each other on a busy machine.
    torch.set_num_threads(1)
    try:
        for convs in (map(kept, backbone.sites), typed):
            architecture = BackboneArchitecture(backbone, tuple(convs)).bare()
            check_form(architecture, backbone.name, backbone.task)
    finally:
        waiting.cancel()
        torch.set_num_threads(threads)


def check_form(architecture: Architecture, name: str, task: Task) -> None:
    """Compare what an export would write of one network with what would be trained.

    Args:
        architecture: whose weights come from nowhere.
        name: what users call it.
        task: what it is for.

    Raises:
        InvalidArchitectureError: see `check_shippable`.
    """
    with _told(f"{name} cannot have other convolutions"):
        network = build(architecture, task.channels, task.classes).eval()
        _answer(network, torch.zeros(1, task.channels, *task.size))
    with torch.no_grad(), torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        for parameter in network.parameters():
            parameter.add_(_NUDGE * torch.randn_like(parameter))
        batches = [torch.rand(count, task.channels, *task.size) for count in COUNTS]
        with _told(f"{name} cannot be trained"):
            _settle(network, batches[-1])
    with _told(f"{name} cannot be written out"):
        written = _written(architecture, task, network.state_dict())
    forms = {"": network, " when it is written": written, " in ONNX": for_inference(network)}
    for images in batches:
        expected = _answer(network.to(memory_format=torch.contiguous_format), images)
        # Many convolutions without a norm between them make much of a little.
        nudged = _answer(network, images * (1 + _ROUNDING))
        allowed = max(_MAX_DIFFERENCE, _MAX_ROUNDING * _difference(expected, nudged))
        if _difference(expected, _answer(network, images)) > 0:
            part = _differing(network, network, images, 0.0)
            raise InvalidArchitectureError(
                f"{name} cannot be shipped: {part} gives random numbers in eval mode"
            )
        for layout, (how, form) in itertools.product(_LAYOUTS, forms.items()):
            with _told(f"{name} fails for images in {layout}{how}"):
                found = _answer(form.to(memory_format=layout), images.to(memory_format=layout))
            if not _difference(expected, found) <= allowed:
                part = _differing(network, form, images, allowed)
                raise InvalidArchitectureError(
                    f"{name} cannot be shipped: {part} gives other outputs for images in {layout}"
                    f"{how}"
                )
    moved = [_moved(name, module, batches[-1]) for module in (network, written)]
    if lost := sorted(moved[0] - moved[1]):
        raise InvalidArchitectureError(
            f"{name} cannot be shipped: {lost[0]} has no gradient when it is written"
        )


def _settle(network: nn.Module, images: Tensor) -> None:
    """Give norms the statistics of these images, without which a deep network's numbers grow.

    Rounding would grow with them, until it decides which way a sigmoid says.
    """
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Any error inside is one line."""
    try:
        yield
    except ConvnasError:
        raise
    except Exception as error:  # noqa: BLE001 - the module is the user's
        raise InvalidArchitectureError(f"{what}: {reason(error)}") from None


def _written(architecture: Architecture, task: Task, weights: dict[str, Tensor]) -> nn.Module:
    """The network that an export would open, for images that are normalised already."""
    means, stds = (0.0,) * task.channels, (1.0,) * task.channels
    shape, classes = (task.channels, *task.size), tuple(map(str, range(task.classes)))
    text = source(architecture, Preprocessing(shape, means, stds, classes))
    names: dict[str, Any] = {"__file__": "model.py"}
    exec(compile(text, "model.py", "exec"), names)  # noqa: S102 - we wrote it
    with scratch("convnas-") as folder:
        write_weights(folder / "weights.safetensors", weights)
        network: nn.Module = names["load"](folder)
    return network


def _answer(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(images.clone())
    return logits


def _differing(network: nn.Module, form: nn.Module, images: Tensor, allowed: float) -> str:
    """The first part of a network that is given the same in another form and answers otherwise."""
    expected, found = _parts(network, images), _parts(form, images)
    for name in (name for name in expected if name in found):
        given, gives = map(_difference, expected[name], found[name])
        if given <= allowed and not gives <= allowed:
            return name or "it"
    return "it"


def _parts(network: nn.Module, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What each part of a network is given and gives, by its name, in their order."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def note(name: str, _part: nn.Module, given: tuple[object, ...], output: object) -> None:
        if given and isinstance(given[0], Tensor) and isinstance(output, Tensor):
            found[name] = given[0].clone(), output.clone()  # others may write over them

    hooks = [part.register_forward_hook(partial(note, n)) for n, part in network.named_modules()]
    try:
        _answer(network, images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest, as a share of the largest number where that is above 1."""
    if one.shape != other.shape:
        return math.inf
    gaps = (one - other).abs().masked_fill(one.isnan() & other.isnan(), 0.0)
    return float(gaps.max() / one.abs().nan_to_num().max().clamp(min=1))


def _moved(name: str, network: nn.Module, images: Tensor) -> set[str]:
    """The names of the weights that a step of training would change."""
    with _told(f"{name} cannot be trained"), torch.random.fork_rng(devices=()):
        logits = network.train()(images.to(memory_format=torch.channels_last))
        logits.square().sum().backward()
    return {key for key, weight in network.named_parameters() if weight.grad is not None}
