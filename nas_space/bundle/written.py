"""What the text of `model.py` needs to know of a network, whatever its skeleton."""

from collections.abc import Iterable
from dataclasses import dataclass

from nas_space.convs import Conv


@dataclass(frozen=True, slots=True)
class Written:
    """A network as Python text.

    Attributes:
        convs: the types of convolution that it has, whose `plain` classes it needs.
        sources: lines that say where its structure comes from.
        text: its classes, of which the last is ``Network``: images (N, C, H, W) from 0 to 1, to
            logits. Its parameters have the names that those of the module have.
    """

    convs: tuple[type[Conv], ...]
    sources: tuple[str, ...]
    text: str

    @property
    def definitions(self) -> str:
        """The `plain` classes of its convolutions."""
        return "".join(f"{conv.plain}\n\n" for conv in self.convs if conv.plain)


def distinct(convs: Iterable[Conv]) -> tuple[type[Conv], ...]:
    """The types of convolutions, each once, in their order."""
    return tuple(dict.fromkeys(map(type, convs)))
