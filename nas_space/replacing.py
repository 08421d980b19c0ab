"""What can stand in the place of a convolution: only what fits its widths and computes less."""

from collections.abc import Mapping
from dataclasses import replace

from nas_space.convs import Conv, kinds
from nas_space.place import Place


def macs(conv: Conv, place: Place) -> int:
    """Multiply-adds for one image of a choice in a place."""
    return sum(conv.macs(place.c_in, place.c_out, size, place.stride[0]) for size in place.sizes)


def settings(kind: type[Conv], place: Place) -> tuple[Conv, ...]:
    """The choices of a type that fit a place, with its kernel, from dense to sparse."""
    c_in, c_out, kernel = place.c_in, place.c_out, place.kernel[0]
    fitting = (replace(conv, kernel=kernel) for conv in kind.settings(c_in, c_out))
    return tuple(sorted(fitting, key=lambda conv: -conv.params(c_in, c_out)))


def options(place: Place) -> Mapping[str, tuple[Conv, ...]]:
    """For each type that can replace a layer the choices that do, from dense to sparse."""
    if place.obstacle is not None:
        return {}
    cheaper = {
        name: tuple(conv for conv in settings(kind, place) if macs(conv, place) < place.macs)
        for name, kind in kinds().items()
    }
    return {name: convs for name, convs in cheaper.items() if convs}
