"""What a network costs: parameters, and multiply-adds (MACs) per image.

MACs are those of convolutions and linear layers, which is what the papers print as FLOPs.
Normalisation, activations, pooling and additions count nothing. `predict` is the closed form
that a search uses (microseconds); `nas_space.counting` holds it to what thop measures.
"""

from dataclasses import dataclass, field

from nas_space.architecture import Architecture
from nas_space.convs.base import Size
from nas_space.memory import peak


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is for: images (channels, height, width) and a number of classes."""

    channels: int
    size: Size
    classes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs.

    Costs are equal where parameters and MACs are: the others depend on how it is run, and where.

    Attributes:
        params: the number of trainable numbers.
        macs: multiply-adds per image.
        activation_memory: bytes, see `nas_space.memory`; None where nobody counted them.
        latency: predicted seconds for one image on a device; None where none was measured.
    """

    params: int
    macs: int
    activation_memory: int | None = field(default=None, compare=False)
    latency: float | None = field(default=None, compare=False)


def predict(architecture: Architecture, task: Task) -> Cost:
    """Cost of the network that `build` would make, in closed form."""
    width = architecture.stages[-1].width
    params = macs = width * task.classes
    params += task.classes
    shortcuts = {s.name.removesuffix("shortcut"): s for s in architecture.shortcuts()}
    for layer, size in architecture.sizes(task.size):
        here = [layer]
        if layer.name.endswith("conv1"):
            here += filter(None, [shortcuts.get(layer.name.removesuffix("conv1"))])
        for part in here:
            c_in = task.channels if part.c_in is None else part.c_in
            params += part.conv.params(c_in, part.c_out) + 2 * part.c_out  # BN's gamma and beta
            macs += part.conv.macs(c_in, part.c_out, size, part.stride)
    return Cost(params, macs, peak(architecture, task))
