"""The skeletons of networks by the names that their JSON has."""

from collections.abc import Mapping
from functools import cache

from nas_space.architecture import Architecture
from nas_space.backbone.architecture import BackboneArchitecture
from nas_space.residual.architecture import ResidualArchitecture


@cache
def skeletons() -> Mapping[str, type[Architecture]]:
    """Every kind of architecture that can be read."""
    return {"residual": ResidualArchitecture, "backbone": BackboneArchitecture}
