"""What a network is made of, layer by layer, and what each layer costs."""

from collections.abc import Iterator
from dataclasses import dataclass

from nas_space.architecture import Architecture
from nas_space.cost import Task
from studies.records import Study


@dataclass(frozen=True, slots=True)
class Row:
    """A layer of a network.

    Attributes:
        layer: its place, e.g. ``stage1.block2.conv1``.
        convolution: the choice.
        channels: in and out.
        size: height and width of its input map.
        stride: 1 or 2.
        macs: multiply-adds for one image.
        params: weights, without normalisation.
    """

    layer: str
    convolution: str
    channels: tuple[int, int]
    size: tuple[int, int]
    stride: int
    macs: int
    params: int


def rows(architecture: Architecture, task: Task) -> Iterator[Row]:
    """The convolutions and the classifier of a network, from stem to head."""
    for layer, size in architecture.convolutions(task.size):
        c_in = task.channels if layer.c_in is None else layer.c_in
        yield Row(
            layer.name,
            str(layer.conv),
            (c_in, layer.c_out),
            size,
            layer.stride,
            layer.conv.macs(c_in, layer.c_out, size, layer.stride),
            layer.conv.params(c_in, layer.c_out),
        )
    width = architecture.stages[-1].width
    weights = width * task.classes
    yield Row("classifier", "linear", (width, task.classes), (1, 1), 1, weights, weights)


def task_of(study: Study) -> Task:
    """What a study's networks are for."""
    channels, height, width = study.dataset["shape"]
    return Task(channels, (height, width), len(study.dataset["classes"]))
