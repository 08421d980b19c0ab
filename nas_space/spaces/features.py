"""An architecture as numbers, for models that learn how accurate networks are.

Networks of one space get vectors of one length: the logarithms of what the whole network and each
of its sections (stages, in residual networks) cost, widths, depths, and how much of each section is
of each type.
"""

import math
from collections.abc import Sequence

from nas_space.costs.cost import Cost, Task
from nas_space.costs.pricing import price
from nas_space.spaces.architecture import Architecture

_DENSE_KERNEL_WEIGHTS = 9
"""Weights of a dense 3×3 kernel a pair of channels."""
_NUMBERS_A_SECTION = 7
"""Numbers for each section, beside the shares of types."""
_LAYERS_A_BLOCK = 2
"""Layers of a block, the unit of depth."""


def describe(
    architecture: Architecture, task: Task, cost: Cost, kinds: Sequence[str], sections: int
) -> list[float]:
    """The features of a network.

    Args:
        architecture: of any space.
        task: what it is for.
        cost: its, as `nas_space.costs.cost.predict` gives it.
        kinds: types of convolution to tell apart, as `nas_space.convs.TYPES` names them.
        sections: the most that a network of the space has; those that this one lacks are zeros.

    Returns:
        2 + beginning + (7 + kinds) × sections + kinds numbers: log MACs and log parameters; how the
        image is read (`Architecture.beginning`); for each section log width, depth, log MACs, log
        parameters, mean log density (weights over those of a dense 3×3 kernel) and traits, and the
        share of its layers of each type; the same shares of all layers.
    """
    sizes = {layer.name: size for layer, size in architecture.sizes(task.size)}
    found = [math.log(cost.macs), math.log(cost.params), *architecture.beginning()]
    counts = dict.fromkeys(kinds, 0)
    total = present = 0
    for layers, traits in zip(architecture.sections(), architecture.traits(), strict=True):
        present += 1
        macs = params = density = 0.0
        here = dict.fromkeys(kinds, 0)
        for layer in layers:
            c_in = layer.c_in or 1
            priced = price(layer.conv, c_in, layer.c_out, sizes[layer.name], layer.stride)
            macs += priced.macs
            params += priced.params
            density += math.log(priced.params / (_DENSE_KERNEL_WEIGHTS * c_in * layer.c_out))
            if layer.conv.kind in here:
                here[layer.conv.kind] += 1
        total += len(layers)
        width, blocks = layers[-1].c_out, len(layers) / _LAYERS_A_BLOCK
        found += [math.log(width), blocks, math.log(macs), math.log(params)]
        found += [density / len(layers), *traits]
        found += [here[kind] / len(layers) for kind in kinds]
        for kind in kinds:
            counts[kind] += here[kind]
    found += [0.0] * ((_NUMBERS_A_SECTION + len(kinds)) * (sections - present))
    return found + [counts[kind] / total for kind in kinds]
