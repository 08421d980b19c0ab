"""A network that a user has, with a choice for each convolution that can be replaced."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nas_space.conversion.site import ConvSite
from nas_space.convs import Conv, InvalidChoiceError, parse
from nas_space.convs.base import Size
from nas_space.costs.cost import Cost, Task
from nas_space.spaces.architecture import (
    FORMAT,
    Architecture,
    InvalidArchitectureError,
    Layer,
    Rest,
    is_whole,
)
from nas_space.spaces.backbone.as_is import AsIs

_HEX = re.compile("[0-9a-f]{12}")
_MAX_PLACES = 4096
_MAX_NUMBER = 10**15
_FIELDS = ("name", "pretrained", "task", "places", "params", "macs")
DIGEST = "digest"
"""A field that studies of before 2026-12 do not have."""
_PLACE = ("name", "c_in", "c_out", "kernel", "stride", "groups", "height", "width")


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network that a user has, as far as choices need to know it.

    It is known for images of one size, for what its layers cost depends on it.

    Attributes:
        name: as `nas_space.spaces.backbone.loading` reads it.
        pretrained: whether its layers bring their weights.
        task: what it is for.
        sites: its convolutions that can be replaced, in the order in which it calls them.
        params: numbers that it has as it is, all in all.
        macs: multiply-adds that it takes for one image.
        digest: of what it computes, see `nas_space.spaces.backbone.digest`; None if it was not
            kept.
    """

    name: str
    pretrained: bool
    task: Task
    sites: tuple[ConvSite, ...]
    params: int
    macs: int
    digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; a place is a list of numbers behind its name."""
        task = self.task
        return {
            "name": self.name,
            "pretrained": self.pretrained,
            "task": [task.channels, *task.size, task.classes],
            "places": [
                [p.name, p.c_in, p.c_out, p.kernel[0], p.stride[0], p.groups, *p.sizes[0]]
                for p in self.sites
            ],
            "params": self.params,
            "macs": self.macs,
            **({} if self.digest is None else {DIGEST: self.digest}),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:  # noqa: ANN401 - JSON
        """Read it back.

        Raises:
            InvalidArchitectureError: it has another form, or its numbers are out of all reason.
        """
        if not isinstance(data, dict) or data.keys() - {DIGEST} != set(_FIELDS):
            raise InvalidArchitectureError("a backbone has the fields " + ", ".join(_FIELDS))
        name, pretrained, sites = data["name"], data["pretrained"], data["places"]
        digest = data.get(DIGEST)
        if DIGEST in data and not (isinstance(digest, str) and _HEX.fullmatch(digest)):
            raise InvalidArchitectureError("a backbone's digest is twelve hex digits")
        if not isinstance(name, str) or not isinstance(pretrained, bool):
            raise InvalidArchitectureError(
                "a backbone's name is text, and pretrained true or false"
            )
        channels, height, width, classes = _numbers(data["task"], 4, "a backbone's task")
        if not isinstance(sites, list) or not 1 <= len(sites) <= _MAX_PLACES:
            raise InvalidArchitectureError(f"a backbone has 1 to {_MAX_PLACES} places")
        (params, macs) = _numbers([data["params"], data["macs"]], 2, "params and macs")
        task = Task(channels, (height, width), classes)
        found = tuple(map(_site, sites))
        if len({site.name for site in found}) < len(found):
            raise InvalidArchitectureError("a backbone names a place twice")
        return cls(name, pretrained, task, found, params, macs, digest)


@dataclass(frozen=True, slots=True)
class BackboneArchitecture(Architecture):
    """A backbone whose replaceable convolutions are chosen; all else is as it was.

    Attributes:
        backbone: which network.
        convs: what its places have, one for each.

    Raises:
        InvalidArchitectureError: a choice does not fit its place, or they are too few or many.
    """

    skeleton: ClassVar[str] = "backbone"
    legend: ClassVar[str] = "backbone: the convolutions of its layers, in order"

    backbone: Backbone
    convs: tuple[Conv, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be built."""
        sites = self.backbone.sites
        if len(self.convs) != len(sites):
            raise InvalidArchitectureError(
                f"{self.backbone.name} has {len(sites)} places, not {len(self.convs)}"
            )
        for site, conv in zip(sites, self.convs, strict=True):
            reason = conv.unsupported_reason(site.c_in, site.c_out)
            if conv.kernel != site.kernel[0]:
                reason = f"the kernel is {site.kernel[0]}, not {conv.kernel}"
            if reason is not None:
                raise InvalidArchitectureError(f"{site.name}: {conv}: {reason}")

    def layers(self) -> Iterator[Layer]:
        """The replaceable convolutions, in the order in which the backbone calls them."""
        for site, conv in zip(self.backbone.sites, self.convs, strict=True):
            yield Layer(site.name, conv, site.c_in, site.c_out, site.stride[0])

    def sizes(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """Each layer with the size of its input map, at the backbone's image size."""
        if size != self.backbone.task.size:
            raise _other(self.backbone, f"images of {size[0]}×{size[1]}")
        for layer, site in zip(self.layers(), self.backbone.sites, strict=True):
            yield layer, site.sizes[0]

    def convolutions(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """As `sizes`: what cannot be replaced is part of `rest`."""
        return self.sizes(size)

    def sections(self) -> Iterator[tuple[Layer, ...]]:
        """The layers at each size of the map."""
        placed = sorted(self.sizes(self.backbone.task.size), key=lambda pair: pair[1], reverse=True)
        for _, group in itertools.groupby(placed, key=lambda pair: pair[1]):
            yield tuple(layer for layer, _ in group)

    def dimensions(self) -> dict[str, str]:
        """None: widths and depth are the backbone's."""
        return {}

    def rest(self, task: Task) -> Rest:
        """All that cannot be replaced, classifier and normalisation included."""
        sites = self.backbone.sites
        return Rest(
            f"rest of {self.backbone.name}",
            "as it is",
            (task.channels, task.classes),
            self.backbone.macs - sum(site.macs for site in sites),
            self.backbone.params - sum(site.weights for site in sites),
        )

    def cost(self, task: Task) -> Cost:
        """In closed form; nobody counts the activations of a module that is not ours."""
        if task != self.backbone.task:
            raise _other(self.backbone, _told(task))
        rest = self.rest(task)
        params, macs = rest.params, rest.macs
        for layer, size in self.sizes(task.size):
            c_in = layer.c_in or 0
            params += layer.conv.params(c_in, layer.c_out)
            macs += layer.conv.macs(c_in, layer.c_out, size, layer.stride)
        return Cost(params, macs)

    def check(self, channels: int, classes: int) -> None:
        """Only as many channels and classes as the backbone was looked at for."""
        task = self.backbone.task
        if (channels, classes) != (task.channels, task.classes):
            raise _other(self.backbone, f"{channels} channels and {classes} classes")

    @property
    def code(self) -> str | None:
        """The user's function, if it is one that makes the backbone."""
        return self.backbone.name if ":" in self.backbone.name else None

    def bare(self) -> "BackboneArchitecture":
        """The same, not pretrained."""
        backbone = dataclasses.replace(self.backbone, pretrained=False)
        return BackboneArchitecture(backbone, self.convs)

    def to_json(self) -> dict[str, Any]:
        """The backbone, and a choice for each of its places; null where it is as it was."""
        return {
            "format": FORMAT,
            "skeleton": self.skeleton,
            "backbone": self.backbone.to_json(),
            "convs": [None if isinstance(conv, AsIs) else str(conv) for conv in self.convs],
        }

    @property
    def by_hand(self) -> str | None:
        """See `Architecture.by_hand`."""
        return "as it is" if all(isinstance(conv, AsIs) for conv in self.convs) else None

    def __str__(self) -> str:
        """A line a person can read: the backbone, then the choices from first to last."""
        spelt = itertools.groupby(map(str, self.convs))
        runs = [(conv, len(list(same))) for conv, same in spelt]
        told = (conv + f" ×{count}" * (count > 1) for conv, count in runs)
        return f"{self.backbone.name}: {', '.join(told)}"

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """See `Architecture.read`."""
        if data.keys() != {"format", "skeleton", "backbone", "convs"}:
            raise InvalidArchitectureError("a backbone's architecture has a backbone and convs")
        backbone, labels = Backbone.from_json(data["backbone"]), data["convs"]
        if not isinstance(labels, list) or len(labels) != len(backbone.sites):
            raise InvalidArchitectureError(
                f"convs must be a list of {len(backbone.sites)} choices, one for each place"
            )
        try:
            return cls(backbone, tuple(map(_conv, labels, backbone.sites)))
        except InvalidChoiceError as error:
            raise InvalidArchitectureError(str(error)) from None


def kept(site: ConvSite) -> AsIs:
    """The choice that leaves a place as it was."""
    return AsIs(kernel=site.kernel[0], groups=site.groups)


def _conv(label: object, site: ConvSite) -> Conv:
    if label is None:
        return kept(site)
    if not isinstance(label, str):
        raise InvalidArchitectureError("a convolution is null, or a string like igc(L=4,M=16)")
    return parse(label)


def _site(data: object) -> ConvSite:
    if not isinstance(data, list) or len(data) != len(_PLACE) or not isinstance(data[0], str):
        raise InvalidArchitectureError(f"a place is a list of {', '.join(_PLACE)}")
    numbers = _numbers(data[1:], len(_PLACE) - 1, "a place's numbers")
    c_in, c_out, kernel, stride, groups, height, width = numbers
    try:
        own = AsIs(kernel=kernel, groups=groups)
        own.check(c_in, c_out)
    except InvalidChoiceError as error:
        raise InvalidArchitectureError(f"{data[0][:80]}: {error}") from None
    size = (height, width)
    return ConvSite(
        data[0],
        c_in,
        c_out,
        (kernel, kernel),
        (stride, stride),
        groups,
        (size,),
        own.macs(c_in, c_out, size, stride),
    )


def _numbers(data: object, count: int, what: str) -> Sequence[int]:
    if (
        not isinstance(data, list)
        or len(data) != count
        or not all(is_whole(number) and 1 <= number <= _MAX_NUMBER for number in data)
    ):
        raise InvalidArchitectureError(f"{what} must be {count} whole numbers above 0")
    return data


def _other(backbone: Backbone, what: str) -> InvalidArchitectureError:
    mine = _told(backbone.task)
    return InvalidArchitectureError(
        f"this network of {backbone.name} is for {mine}, not for {what}"
    )


def _told(task: Task) -> str:
    size = "×".join(map(str, task.size))
    return f"images of {task.channels}×{size} in {task.classes} classes"
