"""Profiles of devices: what of a device and its runtime limits a network (docs/devices.md)."""

from collections.abc import Iterator
from pathlib import Path

from nas_space.devices.operators import Operators
from nas_space.devices.profile import Memory, Profile, ProfileError, Taken, Use
from nas_space.registry import Entry, Registry, given

__all__ = ["DEVICES", "Memory", "Operators", "Profile", "ProfileError", "Taken", "Use", "find"]

_SUFFIX = ".toml"
_FOLDER = Path(__file__).with_name("profiles")


def _ours() -> Iterator[Entry[Profile]]:
    for path in sorted(_FOLDER.glob(f"*{_SUFFIX}")):
        profile = Profile.read(path)
        yield given(profile.name, profile, __name__)


DEVICES: Registry[Profile] = Registry(
    "device",
    ProfileError,
    refusal="unknown device {name}; known devices: {names}, or a file of yours like my_board.toml",
    found=_ours,
    alphabetical=True,
    holds=Profile,
)
"""The profiles by name."""


def find(name: str) -> Profile:
    """The profile of a name, or of a file whose name ends in ``.toml``.

    Raises:
        ProfileError: there is none, or the file is wrong.
    """
    if name.endswith(_SUFFIX):
        return Profile.read(Path(name).expanduser())
    return DEVICES.get(name)
