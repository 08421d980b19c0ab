"""Other convolutions for the network you have: `convert` replaces those of any module, in place.

from nas_space.convert import convert

converted = convert(torchvision.models.resnet50(), "octave(alpha=0.5)")
print(converted)  # which layers were replaced, which were not, and why
converted.model   # a module with the same inputs and outputs
"""

from nas_space.convert.conversion import Choices, Conversion, Layer, convert
from nas_space.convert.places import ConversionError, survey
from nas_space.place import Place

__all__ = ["Choices", "Conversion", "ConversionError", "Layer", "Place", "convert", "survey"]
