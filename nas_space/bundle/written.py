"""What the text of `model.py` needs to know of a network, whatever its skeleton."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from nas_space.bundle.shipped import read_weights
from nas_space.convs import Conv, InvalidChoiceError
from nas_space.layers.source import Shipped, definitions
from nas_space.pictures import read_image

READERS: tuple[Shipped, ...] = (read_weights, read_image)
"""Functions that every `model.py` has."""
_TEMPLATES = frozenset(
    {"INPUT_SIZE", "MEAN", "STD", "CLASSES", "BITS", "EARLIER", "network", "load"}
    | {"torch", "Tensor", "nn", "F", "Path"}
    | {name for reader in READERS for name in definitions(reader).parts}
)
"""Names that every `model.py` has."""


@dataclass(frozen=True, slots=True)
class Written:
    """A network as Python text.

    Attributes:
        convs: the types of convolution that it has.
        uses: classes and functions that its text uses, whose own text stands before it.
        sources: lines that say where its structure comes from.
        text: defines ``network()``, which makes a module that maps images (N, C, H, W) from 0 to 1
            to logits. Its parameters have the names that those of the built module have.
    """

    convs: tuple[type[Conv], ...]
    uses: tuple[Shipped, ...]
    sources: tuple[str, ...]
    text: str

    def definitions(self) -> tuple[list[str], list[str]]:
        """The imports and the definitions that the text needs, each once.

        Raises:
            InvalidChoiceError: a class cannot be shipped, or two types define one name in two ways.
        """
        imports, parts = list[str](), dict[str, str]()
        reserved = _TEMPLATES | {getattr(node, "name", "") for node in ast.parse(self.text).body}
        taken = dict[str, str]()
        chosen: list[Shipped] = [
            layer for conv in self.convs if (layer := conv.layer()) is not None
        ]
        for part in (*chosen, *self.uses):
            found = definitions(part)
            imports += found.imports
            for line in found.imports:
                name = line.rpartition(" ")[2]
                if taken.setdefault(name, line) != line or name in reserved:
                    raise _taken(part, name)
            for name, text in found.parts.items():
                if parts.setdefault(name, text) != text or name in reserved:
                    raise _taken(part, name)
        return list(dict.fromkeys(imports)), list(parts.values())


def _taken(part: Shipped, name: str) -> InvalidChoiceError:
    return InvalidChoiceError(
        f"{part.__name__} cannot be exported: its file defines {name}, a name that something else "
        "in model.py has; rename it"
    )


def distinct(convs: Iterable[Conv]) -> tuple[type[Conv], ...]:
    """The types of convolutions, each once, in their order."""
    return tuple(dict.fromkeys(map(type, convs)))
