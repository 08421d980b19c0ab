"""The skeletons of networks by the names that their JSON has, and the reading of that JSON.

An architecture knows no other skeleton than its own, and is read without torch. So a skeleton is
three import strings: its class, what builds its networks, what writes them for an export.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas_space.registry import Registry, given, imported
from nas_space.spaces.architecture import FORMAT, Architecture, InvalidArchitectureError, is_whole

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A kind of network. Each part is ``module:attribute``, and is imported when it is asked for.

    Attributes:
        name: in the JSON of its architectures, `Architecture.skeleton`.
        architecture: the subclass of `Architecture`.
        builder: makes the module of an architecture, from channels, classes and a seed.
        writer: makes the text of an export, a `nas_space.bundle.written.Written`, of an
            architecture, from the image's shape (C, H, W) and the number of classes.
    """

    name: str
    architecture: str
    builder: str
    writer: str

    @property
    def kind(self) -> type[Architecture]:
        """The class of its architectures."""
        found: type[Architecture] = imported(self.name, self.architecture).load()
        return found

    @property
    def build(self) -> "Callable[[Any, int, int, int], nn.Module]":
        """What makes the module of an architecture."""
        found: Callable[[Any, int, int, int], nn.Module] = imported(self.name, self.builder).load()
        return found

    @property
    def write(self) -> Callable[[Any, tuple[int, int, int], int], Any]:
        """What makes the text of an export."""
        found: Callable[[Any, tuple[int, int, int], int], Any]
        found = imported(self.name, self.writer).load()
        return found


_OURS = (
    Skeleton(
        "residual",
        "nas_space.spaces.residual.architecture:ResidualArchitecture",
        "nas_space.spaces.residual.building:build",
        "nas_space.bundle.residual:written",
    ),
    Skeleton(
        "backbone",
        "nas_space.spaces.backbone.architecture:BackboneArchitecture",
        "nas_space.spaces.backbone.building:build",
        "nas_space.bundle.traced:written",
    ),
    Skeleton(
        "choices",
        "nas_space.spaces.choices.architecture:ChoiceArchitecture",
        "nas_space.spaces.choices.building:build",
        "nas_space.spaces.choices.building:written",
    ),
)

SKELETONS: Registry[Skeleton] = Registry(
    "skeleton",
    InvalidArchitectureError,
    found=lambda: (given(skeleton.name, skeleton, __name__) for skeleton in _OURS),
)
"""The skeletons by name."""


def read_architecture(data: object) -> Architecture:
    """Read the JSON form of an architecture, as text or already decoded.

    Raises:
        InvalidArchitectureError: it is not the JSON form of an architecture.
    """
    if isinstance(data, str | bytes):
        try:
            data = json.loads(data, object_pairs_hook=_object)
        except InvalidArchitectureError:
            raise
        except (ValueError, RecursionError):
            raise InvalidArchitectureError("an architecture must be valid JSON") from None
    if not isinstance(data, dict) or not {"format", "skeleton"} <= data.keys():
        raise InvalidArchitectureError(
            "an architecture is a JSON object with the fields format and skeleton"
        )
    skeleton = data["skeleton"]
    version = data["format"]
    named = isinstance(skeleton, str) and skeleton in SKELETONS
    if not is_whole(version) or version != FORMAT or not named:
        raise InvalidArchitectureError(
            f"this version reads format {FORMAT} of the skeletons {', '.join(SKELETONS)}, and "
            "nothing else"
        )
    return SKELETONS.get(skeleton).kind.read(data)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; one that gives a field twice means different things to different readers."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidArchitectureError("a JSON object of an architecture gives a field twice")
    return found
