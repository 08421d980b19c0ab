"""What makes the module of an architecture, by the name of its skeleton.

An architecture is a value and is read without torch. Here the functions that need torch are import
strings, so that `nas_space.spaces.architecture` and its skeletons import none of them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nas_space.errors import ConvnasError
from nas_space.registry import Registry, imported

if TYPE_CHECKING:
    from torch import nn

Builder = Callable[[Any, int, int, int], "nn.Module"]
"""It is given an architecture of its skeleton, channels, classes and a seed."""

_OURS = {
    "residual": "nas_space.spaces.residual.building:build",
    "backbone": "nas_space.spaces.backbone.building:build",
}


class UnknownBuilderError(ConvnasError):
    """A skeleton whose networks nothing builds."""


BUILDERS: Registry[Builder] = Registry(
    "builder",
    UnknownBuilderError,
    refusal="nothing builds networks of the skeleton {name}; known skeletons: {names}",
    found=lambda: (imported(name, path) for name, path in _OURS.items()),
)
"""The builders by `Architecture.skeleton`."""
