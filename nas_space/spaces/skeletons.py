"""The skeletons of networks by the names that their JSON has, and the reading of that JSON.

An architecture knows no other skeleton than its own: the classes are here as import strings.
"""

import json

from nas_space.registry import Registry, imported
from nas_space.spaces.architecture import FORMAT, Architecture, InvalidArchitectureError, is_whole

_OURS = {
    "residual": "nas_space.spaces.residual.architecture:ResidualArchitecture",
    "backbone": "nas_space.spaces.backbone.architecture:BackboneArchitecture",
}

SKELETONS: Registry[type[Architecture]] = Registry(
    "skeleton",
    InvalidArchitectureError,
    found=lambda: (imported(name, path) for name, path in _OURS.items()),
)
"""The kinds of architecture by the name in their JSON, `Architecture.skeleton`."""


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
    return SKELETONS.get(skeleton).read(data)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; one that gives a field twice means different things to different readers."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidArchitectureError("a JSON object of an architecture gives a field twice")
    return found
