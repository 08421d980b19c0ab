"""The contract of a convolution type.

A type is one frozen dataclass whose fields are the paper's settings. Its instances are
*choices*: values that compare, hash, and spell themselves one way everywhere (Optuna, JSON,
SQL, tables). A choice makes modules and counts their cost; it holds no tensors itself.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

from nas_space.costs.operations import Operations
from nas_space.errors import ConvnasError, InvalidChoiceError, error_line

if TYPE_CHECKING:
    from torch import Tensor, nn

Size = tuple[int, int]
"""Height and width of a feature map, in pixels."""

_LABEL = re.compile(r"(?P<kind>[a-z][a-z0-9_]{0,63})(?:\((?P<settings>[ -'*-~]{1,256})\))?")
_MAX_KERNEL_PIXELS = 31


def out_size(size: Size, stride: int) -> Size:
    """Size after a convolution with that stride: ceil(H / stride), ceil(W / stride)."""
    return -(-size[0] // stride), -(-size[1] // stride)


def area(size: Size) -> int:
    """Pixels of a feature map of that size."""
    return size[0] * size[1]


def split_label(label: str) -> tuple[str, dict[str, str]]:
    """Split ``kind(a=1,b=2)`` into its kind and its settings, still as text.

    Raises:
        InvalidChoiceError: the label has not that form.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise InvalidChoiceError(
            f"cannot read the convolution {label[:80]!r}; write it like igc(L=4,M=16)"
        )
    pairs = [pair.partition("=") for pair in (match["settings"] or "").split(",") if pair]
    settings = {name.strip(): value.strip() for name, _, value in pairs}
    if len(settings) != len(pairs):
        raise InvalidChoiceError(f"{label!r} gives a setting twice")
    return match["kind"], settings


@dataclass(frozen=True, kw_only=True)
class Conv(ABC):
    """A choice of convolution: it maps (N, c_in, H, W) to (N, c_out, ceil(H/s), ceil(W/s)).

    No bias, and neither normalisation nor activation after it: the network adds those. A
    subclass is a frozen dataclass in a file of its own; its fields are the paper's settings.

    Attributes:
        kernel: side K of the spatial kernel, odd.
        kind: the type's name, as users type it.
        paper: where the type is defined.
        mixes_channels: whether it is a choice with a kernel of 1×1, too, where a bottleneck only
            mixes channels.
    """

    kind: ClassVar[str]
    paper: ClassVar[str]
    mixes_channels: ClassVar[bool] = False

    kernel: int = 3

    def __post_init__(self) -> None:
        """Bring settings to their types, and refuse those that no width could serve.

        Raises:
            InvalidChoiceError: a setting is out of its range.
        """
        for name, kind in _setting_types(type(self)).items():
            # 1 and 1.0 are equal values, so they must be spelt alike; likewise 0.0 and -0.0.
            object.__setattr__(self, name, kind(getattr(self, name)) + kind(0))
        if not (1 <= self.kernel <= _MAX_KERNEL_PIXELS and self.kernel % 2):
            raise InvalidChoiceError(
                f"{self.kind}: kernel must be odd, from 1 to {_MAX_KERNEL_PIXELS}, "
                f"not {self.kernel}"
            )

    @classmethod
    @abstractmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        """The settings that a search may try at these widths; they need not fit. Append only."""

    @abstractmethod
    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        """Why this choice cannot serve these widths, as one clause; None where it can."""

    @classmethod
    def layer(cls) -> "type[nn.Module] | None":
        """The module's class, which exported networks carry as text; None: see `build`.

        It takes ``(c_in, c_out, *, stride=1, kernel=3)`` and the settings by name. What its file
        needs beside torch and the standard library stands in the same file.

        The types of this package import torch here, not above: the driver of a search chooses and
        counts without torch, which takes seconds to import.
        """
        return None

    def build(self, c_in: int, c_out: int, stride: int = 1) -> "nn.Module":
        """Make the module. Call `check` first: `build` does not check the widths again.

        A type without a `layer` of its own overrides this, and returns one of torch's own layers
        or a `torch.nn.Sequential` of them.
        """
        layer = self.layer()
        if layer is None:
            raise TypeError(f"{type(self).__name__} must define `layer` or `build`")
        module: nn.Module = layer(c_in, c_out, stride=stride, **self._values)
        return module

    @property
    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @abstractmethod
    def params(self, c_in: int, c_out: int) -> int:
        """Number of weights, in closed form."""

    @abstractmethod
    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """Multiply-adds for one image whose *input* map has that size, in closed form."""

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:  # noqa: ARG002
        """Initialise a module of `build` from the kernel of a dense convolution.

        This default does nothing and returns False.

        Args:
            module: whose weights are to be set.
            kernel: (c_out, c_in, K, K), of a dense convolution between the same widths.

        Returns:
            Whether it did; each type that does says what of the kernel it keeps.
        """
        return False

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:  # noqa: ARG002
        """Most numbers alive at once for one image, its output among them, its input not.

        What is counted: see `nas_space.spaces.residual.memory`. This default is for a type that is
        one operation. A type with tensors between its operations says how many numbers they hold.
        """
        return c_out * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations | None:  # noqa: ARG002
        """What a runtime computes for it, in inference and in order, for a profile of a device.

        This default is None: it is not known, and a search for a device refuses the type.
        """
        return None

    def expression(self, c_in: int, c_out: int, stride: int = 1) -> str:
        """Python text that makes the module of `build`, for a file that has torch and `layer`.

        Raises:
            InvalidChoiceError: there is no `layer`, and the module is no row of torch's layers.
        """
        layer = self.layer()
        if layer is None:
            from nas_space.layers.spelling import spelled  # noqa: PLC0415 - see `layer`

            return spelled(self.build(c_in, c_out, stride))
        defaults = {"stride": 1, "kernel": 3}
        values = {"stride": stride} | self._values
        named = [
            f"{name}={value}"
            for name, value in sorted(values.items(), key=lambda pair: pair[0] in defaults)
            if value != defaults.get(name)
        ]
        return f"{layer.__name__}({', '.join([str(c_in), str(c_out), *named])})"

    @classmethod
    def settings(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        """The distinct choices of this type that fit these widths, those of most weights first."""
        try:
            candidates = cls.candidates(c_in, c_out)
            fitting = (c for c in candidates if c.unsupported_reason(c_in, c_out) is None)
            distinct = dict.fromkeys(fitting)
            return tuple(sorted(distinct, key=lambda conv: -conv.params(c_in, c_out)))
        except ConvnasError:
            raise
        except Exception as error:
            raise InvalidChoiceError(
                f"the type {cls.kind} of {cls.__module__} cannot say what it offers between "
                f"{c_in} and {c_out} channels ({error_line(error)})"
            ) from error

    @classmethod
    def pointwise_settings(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        """As `settings`, of 1×1 kernels; none if the type has no such form."""
        if not cls.mixes_channels:
            return ()
        return tuple(replace(conv, kernel=1) for conv in cls.settings(c_in, c_out))

    def check(self, c_in: int, c_out: int) -> None:
        """Raise InvalidChoiceError, saying why, where this choice cannot serve these widths."""
        reason = self.unsupported_reason(c_in, c_out)
        if reason is not None:
            raise InvalidChoiceError(f"{self} cannot map {c_in} to {c_out} channels: {reason}")

    def __str__(self) -> str:
        """The one spelling of this choice; a kernel of 3 goes without saying."""
        shown = [
            f"{field.name}={getattr(self, field.name)}"
            for field in sorted(fields(self), key=lambda field: field.name == "kernel")
            if field.default is MISSING or getattr(self, field.name) != field.default
        ]
        return f"{self.kind}({','.join(shown)})" if shown else self.kind

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Make a choice from its settings as text.

        Raises:
            InvalidChoiceError: a setting is unknown, missing, no number, or out of range.
        """
        values = cls.numbers(settings)
        for field in fields(cls):
            if field.default is MISSING and field.name not in values:
                raise InvalidChoiceError(
                    f"{cls.kind} takes the settings {_named(cls)}; missing: {field.name}"
                )
        return cls(**values)

    @classmethod
    def numbers(cls, settings: Mapping[str, str]) -> dict[str, Any]:
        """Some settings of this type, from text to numbers.

        Raises:
            InvalidChoiceError: a setting is unknown, or no number.
        """
        types = _setting_types(cls)
        unknown = sorted(settings.keys() - types.keys())
        if unknown:
            raise InvalidChoiceError(
                f"{cls.kind} takes the settings {_named(cls)}; unknown: {', '.join(unknown)}"
            )
        values: dict[str, Any] = {}
        for name, text in settings.items():
            try:
                values[name] = types[name](text)
            except ValueError:
                raise InvalidChoiceError(
                    f"{cls.kind}: {name}={text!r} is no {types[name].__name__}"
                ) from None
        return values


def _named(kind: type[Conv]) -> str:
    return ", ".join(field.name for field in fields(kind))


@cache
def _setting_types(kind: type[Conv]) -> dict[str, type[int] | type[float]]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
