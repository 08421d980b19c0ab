"""How many layers of `photo` torchvision has trained: what --init pretrained could begin with.

    uv run python -m benchmarks.torchvisions_layers

A layer counts if its type, widths, stride, stage, block and place are those of ResNet-18 or of
ResNet-50, or if its type and widths are those of a block of MobileNetV2 with an identity shortcut,
wherever it stands behind a stage's first block. Of these the one network counts that has most.
Without gaps are the layers behind a stem that counts, up to the first that does not: only these
read what they were trained on.
"""

import operator
import random
from collections.abc import Iterable
from functools import cache

from torchvision.models import mobilenet_v2
from torchvision.models.mobilenetv2 import InvertedResidual

from nas_space.convs import Conv
from nas_space.convs.regular import Regular
from nas_space.convs.separable import Separable
from nas_space.spaces.registry import get
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.families import PHOTO_FAMILIES

NETWORKS, MOVES, WIDTH = 200, (1, 5, 20), 64
"""Random networks, moves of evolution away from a network by hand, and its first stage."""


@cache
def resnets() -> list[ResidualArchitecture]:
    """ResNet-18 and ResNet-50."""
    known = {family.name: family for family in PHOTO_FAMILIES}
    return [ResidualArchitecture.of(known[name], WIDTH) for name in ("ResNet-18", "ResNet-50")]


@cache
def inverted() -> frozenset[tuple[Conv, int | None, int]]:
    """Layers of MobileNetV2: type and widths."""
    found: set[tuple[Conv, int | None, int]] = set()
    for block in mobilenet_v2(weights=None).features:
        if isinstance(block, InvertedResidual) and block.use_res_connect:
            width, hidden = block.conv[0][0].in_channels, block.conv[0][0].out_channels
            found |= {(Regular(kernel=1), width, hidden), (Separable(), hidden, width)}
    return frozenset(found)


def matches(network: ResidualArchitecture) -> tuple[int, int, int]:
    """Layers that count, those without gaps behind the stem, and all."""
    found = [*network.layers()]
    mobile = ((layer.conv, layer.c_in, layer.c_out) in inverted() for layer in found)
    behind = (".block1." not in layer.name for layer in found)
    most = sum(map(operator.and_, mobile, behind))
    longest = 0
    for other in resnets():
        theirs = {*other.layers()}
        most = max(most, sum(layer in theirs for layer in found))
        if (network.stem, network.stages[0].narrow) == (other.stem, WIDTH):
            gaps = (at for at, layer in enumerate(found) if layer not in theirs)
            longest = max(longest, next(gaps, len(found)))
    return most, longest, len(found)


def tell(what: str, networks: Iterable[ResidualArchitecture]) -> None:
    """A line about some networks."""
    every = [matches(network) for network in networks]
    most, longest, layers = map(sum, zip(*every, strict=True))
    some = sum(count > 0 for count, *_ in every)
    print(
        f"{what}: {most:,} of {layers:,} layers count ({most / layers:.1%}), in {some} of "
        f"{len(every)} networks; {longest:,} without gaps ({longest / layers:.1%})"
    )


def main() -> None:
    """Count."""
    chance, space = random.Random(0), get("photo")
    drawn = ({p.name: chance.choice(p.labels) for p in space.parameters} for _ in range(NETWORKS))
    tell("random networks", map(space.decode, drawn))
    tell("networks by hand", space.by_hand())
    for name, network in zip(("ResNet-18", "ResNet-50"), resnets(), strict=True):
        for moves in MOVES:
            found = []
            for _ in range(NETWORKS):
                labels = space.encode(network) or {}
                for _ in range(moves):
                    labels = space.mutated(labels, chance)
                found.append(space.decode(labels))
            tell(f"{name} after {moves} moves", found)


if __name__ == "__main__":
    main()
