"""The search spaces by name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas_space.convs import TYPES
from nas_space.costs.cost import Task
from nas_space.registry import Entry, Registry, given
from nas_space.spaces.backbone.space import BackboneSpace
from nas_space.spaces.choices import CHOICES
from nas_space.spaces.choices.space import ChoiceSpace
from nas_space.spaces.residual.families import PHOTO_WIDTHS, PHOTOGRAPHS, WIDTHS
from nas_space.spaces.residual.space import ResidualSpace
from nas_space.spaces.space import Space, UnknownSpaceError

BACKBONE = "backbone"
"""What the names of spaces over a backbone begin with."""
_NAME = re.compile(r"[\w-]{1,64}")
_SECOND: Mapping[str, Any] = {
    "widths": tuple(tuple(width * 2**stage for width in WIDTHS) for stage in range(4)),
    "entries": ("none", "pooled"),
    "downs": ("pooled", "strided"),
    "expansions": (1.0, 2.0, 3.0, 4.0),
    "pointwise": True,
    "optional": True,
}
"""What spaces of the second version choose beside depths and convolutions (docs/decisions/0020)."""
_CHOICES = {**_SECOND, "stems": ("regular", "blueprint", "regular/2", "blueprint/2")}
"""What the spaces of this version choose (docs/decisions/0022)."""

_MOST_PHOTO_CHANNELS, _MOST_PHOTO_HIDDEN = 1024, 3072
_PHOTO: Mapping[str, Any] = {
    "widths": tuple(
        tuple(
            width * 2**stage for width in PHOTO_WIDTHS if width * 2**stage <= _MOST_PHOTO_CHANNELS
        )
        for stage in range(5)
    ),
    "depths": (1, 2, 3, 4, 6),
    "entries": ("none", "pooled", "strided"),
    "downs": ("pooled", "strided", "none"),
    "expansions": (0.25, 1.0, 2.0, 3.0, 4.0, 6.0),
    "pointwise": True,
    "optional": True,
    "stems": ("regular/2", "regular/2/pool", "regular(kernel=7)/2/pool", "blueprint/2"),
    "heads": (0, 640, 1280),
    "most_hidden": _MOST_PHOTO_HIDDEN,
    "by_hand_from": PHOTOGRAPHS,
}
"""What the space of photographs chooses (docs/decisions/0024)."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Spaces as they were.

    Attributes:
        ending: of their names.
        later: types of convolution that they do not have.
        choices: what they choose beside depths and convolutions.
    """

    ending: str
    later: frozenset[str]
    choices: Mapping[str, Any]


_EARLIER = (
    _Earlier("@1", frozenset({"separable", "blueprint"}), {}),
    _Earlier("@2", frozenset({"blueprint"}), _SECOND),
)


def _residual() -> Iterator[Entry[ResidualSpace]]:
    every = tuple(TYPES)
    yield given("mixed", ResidualSpace("mixed", every, **_CHOICES), __name__)
    yield given("photo", ResidualSpace("photo", every, **_PHOTO), __name__)
    for kind in every:
        yield given(kind, ResidualSpace(kind, (kind,), **_CHOICES), TYPES.source(kind))


SPACES: Registry[ResidualSpace] = Registry(
    "space",
    UnknownSpaceError,
    refusal="unknown space {name}; known spaces: {names}, and "
    f"{BACKBONE}:NAME for a network that you have",
    found=_residual,
    follows=TYPES,
)
"""The spaces of residual networks by name."""


def spaces() -> dict[str, Space]:
    """Every space by name.

    They are ``mixed``, one for each type of convolution alone, and those of plugins.

    Raises:
        UnknownSpaceError: one of a plugin's has the name of another, or none that can be typed.
    """
    return {**SPACES.all(), **{name: ChoiceSpace(name) for name in CHOICES if _is_users(name)}}


def _is_users(name: str) -> bool:
    """Whether a space is one of a user's function.

    Raises:
        UnknownSpaceError: it has the name of another, or none that can be typed and recorded.
    """
    if name in CHOICES and (name in SPACES or not _NAME.fullmatch(name)):
        raise UnknownSpaceError(
            f"space {name!r} of a plugin must have another name: one that is not taken, of 1 to 64 "
            "letters, digits, - and _"
        )
    return name in CHOICES


def get(name: str) -> ResidualSpace:
    """The space of residual networks of that name; one that ends in ``@1`` is as it was first.

    Raises:
        UnknownSpaceError: there is none.
    """
    for earlier in _EARLIER:
        base = name.removesuffix(earlier.ending)
        if base != name:
            kinds = tuple(kind for kind in SPACES.get(base).kinds if kind not in earlier.later)
            if not kinds:
                raise UnknownSpaceError(f"there is no {name}: that version had no {base}")
            return ResidualSpace(base, kinds, **earlier.choices)
    return SPACES.get(name)


def name_of(data: Mapping[str, Any]) -> str | None:
    """The name under which users type a space that `Space.to_json` wrote.

    Returns:
        None if this version has no such space of residual networks.
    """
    for ending in ("", *(earlier.ending for earlier in _EARLIER)):
        name = f"{data.get('name')}{ending}"
        try:
            space = get(name)
        except UnknownSpaceError:
            continue
        if space.to_json() == data:
            return name
    return None


def find(name: str, task: Task, *, pretrained: bool = False) -> Space:
    """The space of a name as users type it, for such images.

    It is that of `get`, of a plugin's function (`nas_space.spaces.choices`), or ``backbone:NAME``.

    Args:
        name: of a space, or ``backbone:`` and what `nas_space.spaces.backbone.loading` reads.
        task: what networks are for.
        pretrained: whether a backbone brings its weights.

    Raises:
        UnknownSpaceError: there is none, or the backbone cannot be for such images.
        InvalidChoiceError: a plugin's type is not what it says.
    """
    prefix, colon, backbone = name.partition(":")
    if not colon or prefix != BACKBONE:
        if pretrained:
            raise UnknownSpaceError(
                f"--init pretrained is for backbones, not for {name!r}: say --space "
                f"{BACKBONE}:resnet18, or another network that has weights"
            )
        if _is_users(name):
            from nas_space.spaces.choices.looking import looked_at  # noqa: PLC0415 - as below

            return looked_at(ChoiceSpace(name), task)
        space: Space = get(name)
    else:
        space = _backbone(name, backbone, task, pretrained=pretrained)
    for kind in space.kinds:
        if kind in TYPES and not TYPES.is_ours(kind):
            from nas_space.spaces.residual.looking import look_at  # noqa: PLC0415 - as below

            look_at(kind, get(kind), task)
    return space


def _backbone(name: str, backbone: str, task: Task, *, pretrained: bool) -> BackboneSpace:
    from nas_space.spaces.backbone.surveying import look_up  # noqa: PLC0415 - torch takes seconds

    return BackboneSpace(name, look_up(backbone, task, pretrained=pretrained))


def check(name: str) -> None:
    """Raise UnknownSpaceError if a name can be none of a space, whatever the images are."""
    prefix, colon, _ = name.partition(":")
    if not (colon and prefix == BACKBONE) and not _is_users(name):
        get(name)


def recorded(data: Mapping[str, Any]) -> Space:
    """The space that a study says it is of, as `Space.to_json` wrote it.

    Raises:
        UnknownSpaceError: this version does not have it.
    """
    kind = next((kind for field, kind in _KINDS.items() if field in data), ResidualSpace)
    return kind.from_json(data)


_KINDS: Mapping[str, type[BackboneSpace | ChoiceSpace]] = {
    BACKBONE: BackboneSpace,
    "choices": ChoiceSpace,
}
"""The spaces that a field of their JSON tells."""
