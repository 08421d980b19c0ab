"""An architecture as numbers, for models that learn how accurate networks are.

Networks of one space get vectors of one length: the logarithms of what the whole network and each
stage cost, widths, depths, and how much of each stage is of each type.
"""

import itertools
import math
from collections.abc import Sequence

from nas_space.architecture import Architecture
from nas_space.cost import Cost, Task

_KERNEL = 9
"""Weights of a dense 3×3 kernel a pair of channels."""


def describe(
    architecture: Architecture, task: Task, cost: Cost, kinds: Sequence[str]
) -> list[float]:
    """The features of a network.

    Args:
        architecture: of any space.
        task: what it is for.
        cost: its, as `nas_space.cost.predict` gives it.
        kinds: types of convolution to tell apart, as `nas_space.convs.kinds` names them.

    Returns:
        2 + (5 + kinds) × stages + kinds numbers: log MACs and log parameters; for each stage log
        width, depth, log MACs, log parameters and mean log density (weights over those of a
        dense 3×3 kernel), and the share of its layers of each type; the same shares of all layers.
    """
    stages = {
        stage: list(layers)
        for stage, layers in itertools.groupby(
            ((layer, size) for layer, size in architecture.sizes(task.size) if layer.c_in),
            key=lambda placed: placed[0].name.partition(".")[0],
        )
    }
    found = [math.log(cost.macs), math.log(cost.params)]
    counts = dict.fromkeys(kinds, 0)
    for stage, layers in zip(architecture.stages, stages.values(), strict=True):
        macs = params = density = 0.0
        here = dict.fromkeys(kinds, 0)
        for layer, size in layers:
            c_in = layer.c_in or 1
            weights = layer.conv.params(c_in, layer.c_out)
            macs += layer.conv.macs(c_in, layer.c_out, size, layer.stride)
            params += weights
            density += math.log(weights / (_KERNEL * c_in * layer.c_out))
            if layer.conv.kind in here:
                here[layer.conv.kind] += 1
        found += [math.log(stage.width), len(stage.blocks), math.log(macs), math.log(params)]
        found.append(density / len(layers))
        found += [here[kind] / len(layers) for kind in kinds]
        for kind in kinds:
            counts[kind] += here[kind]
    total = sum(map(len, stages.values()))
    return found + [counts[kind] / total for kind in kinds]
