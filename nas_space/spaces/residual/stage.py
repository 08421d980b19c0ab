"""A stage of a residual network, as a value and as JSON."""

from dataclasses import dataclass
from typing import Any

from nas_space.convs import Conv, parse
from nas_space.convs.base import Size, out_size
from nas_space.spaces.architecture import InvalidArchitectureError, is_whole

DOWNS = ("none", "strided", "pooled")
"""How the first block of a stage halves the map: not at all, by its stride, by 2×2 averages."""

MAX_WIDTH_CHANNELS = 8192
_MAX_BLOCKS = 256
_MAX_BLOCK_CONVS = 3
_FIELDS = {"width", "blocks"}
_OPTIONAL_FIELDS = {"down", "hidden"}

Block = tuple[Conv, ...]
"""The convolutions of a residual block: two, or of a bottleneck three.

Of two the first may stride, of three the second.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Residual blocks of one width.

    Attributes:
        width: channels of its maps.
        blocks: the convolutions of each block.
        down: one of `DOWNS`; None is usual: the first stage keeps the map, a later one strides.
        hidden: channels between the convolutions of a block; None is the width. Where they are
            more, no activation follows the addition, as in MobileNetV2 (arXiv 1801.04381).
    """

    width: int
    blocks: tuple[Block, ...]
    down: str | None = None
    hidden: int | None = None

    @property
    def inner(self) -> int:
        """Channels between the convolutions of a block."""
        return self.width if self.hidden is None else self.hidden

    @property
    def narrow(self) -> int:
        """The lesser of width and `inner`: of a bottleneck the width of its inside."""
        return min(self.width, self.inner)

    def check(self, name: str) -> None:
        """Refuse what could not be built.

        Raises:
            InvalidArchitectureError: a number is out of range.
        """
        for what, channels in (("width", self.width), ("hidden", self.inner)):
            if not 1 <= channels <= MAX_WIDTH_CHANNELS:
                raise InvalidArchitectureError(
                    f"{name}: {what} must be from 1 to {MAX_WIDTH_CHANNELS}, not {channels}"
                )
        if not 1 <= len(self.blocks) <= _MAX_BLOCKS:
            raise InvalidArchitectureError(
                f"{name}: 1 to {_MAX_BLOCKS} blocks, not {len(self.blocks)}"
            )
        if self.down not in {None, *DOWNS}:
            raise InvalidArchitectureError(
                f"{name}: down must be one of {', '.join(DOWNS)}, not {self.down!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """The JSON form; what is as usual is left out, so that older texts and keys stay."""
        data: dict[str, Any] = {
            "width": self.width,
            "blocks": [[str(conv) for conv in block] for block in self.blocks],
        }
        if self.down is not None:
            data["down"] = self.down
        if self.hidden is not None:
            data["hidden"] = self.hidden
        return data

    @classmethod
    def read(cls, data: object) -> "Stage":
        """Read `to_json`.

        Raises:
            InvalidArchitectureError: it is none.
            InvalidChoiceError: a convolution is none.
        """
        if not isinstance(data, dict) or not (
            data.keys() >= _FIELDS and data.keys() <= _FIELDS | _OPTIONAL_FIELDS
        ):
            raise InvalidArchitectureError(
                "a stage is a JSON object with the fields width and blocks, and may have "
                + ", ".join(sorted(_OPTIONAL_FIELDS))
            )
        down, hidden = data.get("down"), data.get("hidden")
        if not is_whole(data["width"]) or not (hidden is None or is_whole(hidden)):
            raise InvalidArchitectureError("a stage's width and hidden must be whole numbers")
        if not (down is None or isinstance(down, str)):
            raise InvalidArchitectureError(f"a stage's down must be one of {', '.join(DOWNS)}")
        blocks = listed(data["blocks"], "blocks", _MAX_BLOCKS)
        return cls(data["width"], tuple(map(_read_block, blocks)), down, hidden)

    def __str__(self) -> str:
        """Width, what is not as usual, then the convolutions."""
        unusual = [
            *([self.down] if self.down else []),
            *([] if self.hidden is None else [f"hidden={self.hidden}"]),
        ]
        head = f"{self.width}({','.join(unusual)})" if unusual else str(self.width)
        return f"{head}: " + " ".join(str(conv) for block in self.blocks for conv in block)


def entered(size: Size, down: str) -> tuple[Size, int]:
    """The size of the map that a block's first convolution reads, and its stride.

    Args:
        size: of the block's input.
        down: one of `DOWNS`.
    """
    return (out_size(size, 2), 1) if down == "pooled" else (size, 2 if down == "strided" else 1)


def behind(size: Size, down: str) -> Size:
    """The size of the map behind a block's first convolution, see `entered`."""
    return size if down == "none" else out_size(size, 2)


def listed(data: object, what: str, most: int) -> list[object]:
    """A JSON list that is not so long that reading it would take its time.

    Raises:
        InvalidArchitectureError: it is none.
    """
    if not isinstance(data, list) or len(data) > most:
        raise InvalidArchitectureError(f"{what} must be a JSON list of at most {most}")
    return data


def _read_block(data: object) -> Block:
    match listed(data, "a block", _MAX_BLOCK_CONVS):
        case [str(), str()] | [str(), str(), str()] as texts:
            return tuple(parse(text) for text in texts if isinstance(text, str))
        case _:
            raise InvalidArchitectureError(
                "a block is a list of two or three convolutions like igc(L=4,M=16)"
            )
