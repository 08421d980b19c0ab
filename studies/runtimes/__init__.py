"""The runtimes in which latencies are measured, one file each.

In another runtime a network takes another time, and two networks may change places: a latency is
worth something in the runtime that will run the network.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from nas_space import extras
from nas_space.errors import ConvnasError
from nas_space.registry import Registry, imported
from trainers.machine import processor

if TYPE_CHECKING:
    # The driver of a search asks for names alone, and has no torch.
    from torch import Tensor, nn

DEFAULT_RUNTIME = "torch"

Call = Callable[[], object]
"""Answers for one batch."""


class UnknownRuntimeError(ConvnasError):
    """An unknown name of a runtime."""


class Runtime(Protocol):
    """Runs networks."""

    @property
    def needs(self) -> str | None:
        """The optional dependencies that it needs, a name of `nas_space.extras`."""

    def version(self) -> str:
        """Its name and version, and how it computes."""

    def usual_threads(self, side: int) -> int:
        """How many threads it takes if the user does not say, for images of `side` pixels."""

    def prepared(
        self,
        modules: "Sequence[nn.Module]",
        inputs: "Sequence[Tensor]",
        threads: int,
        *,
        inside: bool = False,
        as_trained: bool = False,
    ) -> list[Call]:
        """For each module a call that answers for its input, computed as the runtime does.

        Args:
            modules: as `nas_space.inference.for_inference` makes them.
            inputs: of each, a batch (N, C, H, W).
            threads: to compute with.
            inside: whether they are layers, which take what the layer before them gives.
            as_trained: whether convolutions in groups stay as they are, however slow.
        """


_OURS = {
    DEFAULT_RUNTIME: "studies.runtimes.in_torch:RUNTIME",
    "onnxruntime": "studies.runtimes.in_onnxruntime:FLOAT32",
    "onnxruntime-int8": "studies.runtimes.in_onnxruntime:INT8",
}

RUNTIMES: Registry[Runtime] = Registry(
    "runtime",
    UnknownRuntimeError,
    found=lambda: (imported(name, path) for name, path in _OURS.items()),
)
"""The runtimes by the names that users type."""


def find(name: str) -> Runtime:
    """The runtime of a name.

    Raises:
        UnknownRuntimeError: there is none.
        MissingExtraError: it is not installed.
    """
    runtime = RUNTIMES.get(name)
    if runtime.needs is not None:
        extras.check(runtime.needs, f"--runtime {name}")
    return runtime


def hardware(runtime: Runtime, threads: int) -> str:
    """What a latency was measured on: threads, cores, the CPU's model, the runtime."""
    return (
        f"{threads} thread{'s' * (threads > 1)}, {os.cpu_count()} cores of {processor()}, "
        f"{runtime.version()}"
    )
