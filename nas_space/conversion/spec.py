"""The convolution that a user wants: a type with all, some or none of its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from nas_space.conversion.replacing import macs, settings
from nas_space.conversion.site import ConvSite
from nas_space.convs import TYPES, Conv, InvalidChoiceError
from nas_space.convs.base import split_label


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """A type and some of its settings, e.g. ``octave(alpha=0.5)``, ``igc(M=2)``, ``igc``.

    Open settings follow from the layer's widths: of the choices that a search may try there, from
    dense to sparse, the middle one. The kernel is the layer's.

    Attributes:
        kind: the type.
        settings: by name.
    """

    kind: type[Conv]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, label: str) -> Self:
        """Read a spec.

        Raises:
            InvalidChoiceError: the type is unknown, or a setting is unknown or no number.
        """
        name, settings = split_label(label)
        kind = TYPES.get(name)
        spec = cls(kind, kind.numbers(settings))
        if spec._is_whole:
            kind(**spec.settings)  # raises if no width fits them
        return spec

    @classmethod
    def of(cls, conv: Conv) -> Self:
        """The spec of a choice: all of its settings except the kernel."""
        values = {field.name: getattr(conv, field.name) for field in fields(conv)}
        values.pop("kernel")
        return cls(type(conv), values)

    @property
    def _own(self) -> dict[str, Any]:
        """The settings of the type: all except the kernel."""
        return {name: value for name, value in self.settings.items() if name != "kernel"}

    @property
    def _is_whole(self) -> bool:
        """Whether only the kernel is open."""
        return len(self._own) == len(fields(self.kind)) - 1

    def choose(self, site: ConvSite) -> Conv:
        """The choice for a layer.

        Raises:
            InvalidChoiceError: the layer cannot have it; the message is the reason.
        """
        if site.obstacle is not None:
            raise InvalidChoiceError(site.obstacle)
        kernel = site.kernel[0]
        if self.settings.get("kernel", kernel) != kernel:
            raise InvalidChoiceError(f"its kernel is {kernel}, not {self.settings['kernel']}")
        conv = self._fitting(site, kernel)
        needed = macs(conv, site)
        if needed >= site.macs:
            raise InvalidChoiceError(f"{conv} would take {needed / site.macs:.2f} times the MACs")
        return conv

    def _fitting(self, site: ConvSite, kernel: int) -> Conv:
        c_in, c_out = site.c_in, site.c_out
        values = self._own
        if self._is_whole:
            conv = self.kind(**values, kernel=kernel)
            reason = conv.unsupported_reason(c_in, c_out)
            if reason is not None:
                raise InvalidChoiceError(f"{conv}: {reason}")
            return conv
        fitting = [
            conv
            for conv in settings(self.kind, site)
            if all(getattr(conv, name) == value for name, value in values.items())
        ]
        if not fitting:
            given = ", ".join(f"{name}={value}" for name, value in values.items())
            raise InvalidChoiceError(
                f"{self.kind.kind} has no settings{f' with {given}' * bool(given)} for "
                f"{c_in} → {c_out} channels"
            )
        return fitting[len(fitting) // 2]
