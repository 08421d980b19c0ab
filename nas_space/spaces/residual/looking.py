"""A look at a user's own types before a search: whether they are what they say."""

import itertools
from collections.abc import Iterator

import torch

from nas_space.convs.base import Conv, out_size
from nas_space.costs.cost import Task
from nas_space.costs.counting import count
from nas_space.errors import ConvnasError, InvalidChoiceError, error_line
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.backbone.shipping import check_form
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import Place
from nas_space.spaces.residual.space import ResidualSpace

_SIZE = (8, 8)


def look_at(kind: str, space: ResidualSpace, task: Task) -> None:
    """Build, run and count the modules of a type, and write a network of it.

    Args:
        kind: the type's name.
        space: that has it.
        task: what networks are for.

    Raises:
        InvalidChoiceError: a module fails, has another shape, or costs something else than the type
            says, or a network of it cannot be trained or exported.
    """
    for conv, c_in, c_out in _settings(space, kind):
        for stride in (1, 2):
            _look(conv, c_in, c_out, stride)
    uniform = (found for found in space.uniform() if kind in _kinds(found))
    network = min(uniform, key=lambda found: found.cost(task).macs, default=None)
    if network is not None:
        try:
            check_form(network, f"a network of type {kind}", task)
        except InvalidArchitectureError as error:
            raise InvalidChoiceError(str(error)) from None


def _kinds(architecture: ResidualArchitecture) -> set[str]:
    return {layer.conv.kind for layer in architecture.layers()}


def _settings(space: ResidualSpace, kind: str) -> Iterator[tuple[Conv, int, int]]:
    """Every setting at the least and the greatest widths of two stages."""
    first, second = space.widths[0], space.widths[min(1, len(space.widths) - 1)]
    for c_in, c_out in dict.fromkeys(
        itertools.product((first[0], first[-1]), (first[0], second[0], second[-1]))
    ):
        for conv in space.settings(kind, Place(c_in, c_out)):
            if conv.kind == kind:
                yield conv, c_in, c_out


def _look(conv: Conv, c_in: int, c_out: int, stride: int) -> None:
    where = f"type {conv}, from {c_in} to {c_out} channels with stride {stride},"
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=()):
            module = conv.build(c_in, c_out, stride)
            found = module.eval()(torch.zeros(2, c_in, *_SIZE))
        counted = count(module, (c_in, *_SIZE))
        said = conv.params(c_in, c_out), conv.macs(c_in, c_out, _SIZE, stride)
    except ConvnasError:
        raise
    except Exception as error:  # noqa: BLE001 - the type is the user's
        raise InvalidChoiceError(f"{where} fails: {error_line(error)}") from None
    wanted = (2, c_out, *out_size(_SIZE, stride))
    if tuple(getattr(found, "shape", ())) != wanted:
        shapes = ["×".join(map(str, shape)) for shape in (getattr(found, "shape", ()), wanted)]
        raise InvalidChoiceError(f"{where} gives {shapes[0] or 'no tensor'}, not {shapes[1]}")
    if said[0] != counted.params:
        raise InvalidChoiceError(
            f"{where} says params {said[0]:,}, and its module has {counted.params:,}"
        )
    # Torch's counter sees convolutions and products of matrices alone.
    if counted.macs and said[1] != counted.macs:
        raise InvalidChoiceError(
            f"{where} says macs {said[1]:,} for a map of 8×8, and its module has {counted.macs:,}"
        )
