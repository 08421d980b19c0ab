"""A network layer by layer, with the cost of each layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from studies.records.tables import Study


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer of a network.

    Attributes:
        layer: its place, e.g. ``stage1.block2.conv1``.
        convolution: the choice.
        channels: in and out.
        size: height and width of its input map.
        stride: 1 or 2.
        macs: multiply-adds for one image.
        params: weights, without normalisation.
        chosen: whether the search chose the layer.
    """

    layer: str
    convolution: str
    channels: tuple[int, int]
    size: tuple[int, int]
    stride: int
    macs: int
    params: int
    chosen: bool


def layer_costs(architecture: Architecture, task: Task) -> Iterator[LayerRow]:
    """The convolutions and the classifier of a network, from stem to head."""
    chosen = {layer.name for layers in architecture.sections() for layer in layers}
    for layer, size in architecture.convolutions(task.size):
        c_in = task.channels if layer.c_in is None else layer.c_in
        yield LayerRow(
            layer.name,
            str(layer.conv),
            (c_in, layer.c_out),
            size,
            layer.stride,
            layer.conv.macs(c_in, layer.c_out, size, layer.stride),
            layer.conv.params(c_in, layer.c_out),
            layer.name in chosen,
        )
    rest = architecture.rest(task)
    yield LayerRow(
        rest.name, rest.what, rest.channels, (1, 1), 1, rest.macs, rest.params, chosen=False
    )


def legend(architectures: Iterable[Architecture]) -> str:
    """How to read a network of one space, written as a line of text."""
    return next((architecture.legend for architecture in architectures), "architecture")


def task_of(study: Study) -> Task:
    """What a study's networks are for."""
    channels, height, width = study.dataset["shape"]
    return Task(channels, (height, width), len(study.dataset["classes"]))
