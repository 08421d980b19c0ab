"""The ways by which a network's operators are computed in training, chosen by the clock.

Operators have several ways that are equal up to rounding (`nas_space.planned`), and rules, measured
on a few machines, that choose one. Here each is timed on the machine at hand when it is first met,
a few images forward and backward, and what was found is kept in the user's cache folder.
"""

import copy
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_space.planned import Planned, Way
from searchers.latency.cache import place
from trainers.devices import Device
from trainers.files import write_whole

_IMAGES = 32
"""At most, of those of a batch."""
_ROUNDS = 3
_CLEARLY = 0.9
"""Share of the time of the rules' way below which another one is taken: clocks are noisy."""


_FOLDER = Path("~/.cache/convnas/plans")


class Plans:
    """What is known of this machine, and how to know more.

    What the cache folder has and cannot be read is measured again.
    """

    def __init__(self) -> None:
        self._file = place(_FOLDER.expanduser(), torch.get_num_threads())
        self._known: dict[str, str] = {}

    def choose(self, network: nn.Module, shape: tuple[int, ...], device: Device) -> dict[str, str]:
        """Plan every operator of a network.

        Args:
            network: on the CPU; gets its plans and stays as it is otherwise.
            shape: (N, C, H, W) of a batch that it will be trained on.
            device: where, and in which precision.

        Returns:
            By the module's name, the way of each that does not go the rules'.
        """
        chosen: dict[str, str] = {}
        if device.where.type != "cpu":
            return chosen
        self._known |= self._read()
        before = dict(self._known)
        for name, module, x in _inputs(network, (min(shape[0], _IMAGES), *shape[1:]), device):
            with device.autocast():
                ways = module.ways(x)
            if len(ways) < 2:  # noqa: PLR2004 - nothing to choose
                continue
            question = " ".join([*repr(module).split(), str(tuple(x.shape)), str(x.dtype)])
            if self._known.get(question) not in ways:
                self._known[question] = _fastest(module, ways, x, device)
            if self._known[question] != next(iter(ways)):
                chosen[name] = self._known[question]
        for name, way in chosen.items():
            _operator(network.get_submodule(name)).plan = way
        if self._known != before:
            self._write()
        return chosen

    def _read(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            found = json.loads(self._file.read_bytes())
            if isinstance(found, dict):
                return {str(key): str(value) for key, value in found.items()}
        return {}

    def _write(self) -> None:
        # Another worker may have learnt something meanwhile; if both write, one measures again.
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(self._read() | self._known, indent=1).encode())


def _inputs(
    network: nn.Module, shape: tuple[int, ...], device: Device
) -> Iterator[tuple[str, Planned, Tensor]]:
    """Every operator that has ways, with what a batch gives it; on a copy."""
    own = copy.deepcopy(network).to(memory_format=torch.channels_last).train()
    seen: list[tuple[str, Planned, Tensor]] = []

    def note(name: str, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append((name, _operator(module), given[0]))

    for name, module in own.named_modules():
        hook = module.register_forward_pre_hook
        if isinstance(module, Planned):
            hook(partial(note, name))
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), device.autocast():
        own(images.contiguous(memory_format=torch.channels_last))
    yield from tuple(seen)  # ways call parts, which the hooks note again


def _operator(module: nn.Module) -> Planned:
    assert isinstance(module, Planned)  # noqa: S101 - as those were found
    return module


def _fastest(module: Planned, ways: dict[str, Way], x: Tensor, device: Device) -> str:
    """The name of the way that takes least, forward and backward."""
    assert isinstance(module, nn.Module)  # noqa: S101 - as documented
    least = dict.fromkeys(ways, float("inf"))
    x = x.detach().requires_grad_()
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            with device.autocast():
                y = way(x)
            torch.autograd.grad(y, [x, *module.parameters()], torch.ones_like(y))
            least[name] = min(least[name], time.perf_counter() - start)
    usual = next(iter(ways))
    best = min(least, key=lambda name: least[name])
    return best if least[best] < _CLEARLY * least[usual] else usual
