"""What can replace a convolution: choices that fit its widths and have fewer MACs."""

from collections.abc import Mapping
from dataclasses import replace

from nas_space.conversion.site import ConvSite
from nas_space.convs import TYPES, Conv


def macs(conv: Conv, site: ConvSite) -> int:
    """Multiply-adds of a choice at a site, for one image."""
    return sum(conv.macs(site.c_in, site.c_out, size, site.stride[0]) for size in site.sizes)


def settings(kind: type[Conv], site: ConvSite) -> tuple[Conv, ...]:
    """The choices of a type that fit a site, with its kernel, from dense to sparse."""
    c_in, c_out, kernel = site.c_in, site.c_out, site.kernel[0]
    fitting = (replace(conv, kernel=kernel) for conv in kind.settings(c_in, c_out))
    return tuple(sorted(fitting, key=lambda conv: -conv.params(c_in, c_out)))


def options(site: ConvSite) -> Mapping[str, tuple[Conv, ...]]:
    """For each type that can replace a layer, its choices, from dense to sparse."""
    if site.obstacle is not None:
        return {}
    cheaper = {
        name: tuple(conv for conv in settings(kind, site) if macs(conv, site) < site.macs)
        for name, kind in TYPES.all().items()
    }
    return {name: convs for name, convs in cheaper.items() if convs}
