"""Other convolutions for the network you have: `convert` replaces those of any module.

    from nas_space.convert import convert

    converted = convert(torchvision.models.resnet50(), "octave(alpha=0.5)")
    print(converted)  # which layers were replaced, which were not, and why
    converted.model   # a module with the same inputs and outputs

`python -m nas_space.convert` prints the same for a network by name.
"""

from typing import TYPE_CHECKING

from nas_space.conversion.command import main

if TYPE_CHECKING:
    from nas_space.conversion.converting import Choices, Conversion, ConvertedLayer, convert
    from nas_space.conversion.site import ConvSite
    from nas_space.conversion.survey import ConversionError, survey

__all__ = [
    "Choices",
    "ConvSite",
    "Conversion",
    "ConversionError",
    "ConvertedLayer",
    "convert",
    "survey",
]


def __getattr__(name: str) -> object:
    """Import a name of `__all__` when it is used: torch takes seconds, and --help none."""
    from nas_space.conversion import converting  # noqa: PLC0415 - seconds

    if name in __all__:  # it imports what is not its own
        return getattr(converting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    raise SystemExit(main())
