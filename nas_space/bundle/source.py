"""The text of `model.py`: an architecture as a module of plain torch, to read and to run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nas_space.architecture import Architecture, Layer
from nas_space.bundle.preprocessing import Preprocessing
from nas_space.convs import Conv

_TEMPLATE = '''\
"""A convolutional network for {classes} classes, written out: needs torch and nothing else.

    from model import CLASSES, load, read_image

    network = load()
    print(CLASSES[network(read_image("photo.png")).argmax()])

`read_image` needs Pillow as well. Architecture {key}, found by convnas. What it is made of,
and the papers:

{sources}
"""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE = {shape}  # channels, height, width
MEAN = {mean}
STD = {std}
CLASSES = (
{names}
)


{definitions}class Residual(nn.Module):
    """conv - BN - ReLU - conv - BN, plus the shortcut, ReLU."""

    def __init__(
        self, width: int, conv1: nn.Module, conv2: nn.Module, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv2
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Network(nn.Module):
    """Images (N, {image}), values 0 to 1, to logits (N, {classes})."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(-1, 1, 1), persistent=False)
        self.stem = nn.Sequential(
            {stem},
            nn.BatchNorm2d({first}),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
{blocks}
        )
        self.classifier = nn.Linear({last}, {classes})

    def forward(self, images: Tensor) -> Tensor:
        x = (images - self.mean) / self.std
        x = self.blocks(self.stem(x))
        return self.classifier(x.mean(dim=(2, 3)))


def load(folder: Path = Path(__file__).parent) -> Network:
    """The trained network, in eval mode."""
    network = Network()
    network.load_state_dict(read_weights(folder / "weights.safetensors"))
    return network.eval()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: the header's length, the header (JSON), the numbers."""
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    types = {{"F32": torch.float32, "I64": torch.int64}}
    return {{
        name: torch.frombuffer(
            data,
            dtype=types[entry["dtype"]],
            count=math.prod(entry["shape"]),
            offset=start + entry["data_offsets"][0],
        ).view(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }}


def read_image(path: str | Path) -> Tensor:
    """An image file as (1, {image}), values 0 to 1: upright, its centre, at that size."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        if image.mode.startswith("I;16"):
            image = image.convert("I").point(lambda value: value * (1 / 256))
        upright = ImageOps.exif_transpose(image).convert("{mode}")
    if upright.size != ({width}, {height}):
        upright = ImageOps.fit(upright, ({width}, {height}), Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(upright.tobytes()), dtype=torch.uint8)
    return pixels.view(1, {height}, {width}, {channels}).permute(0, 3, 1, 2) / 255
'''
_RESIDUAL = "- residual blocks: He et al., Deep Residual Learning, arXiv 1512.03385"


@dataclass(frozen=True, slots=True)
class _Block:
    first: Layer
    second: Layer
    shortcut: Layer | None


def source(architecture: Architecture, preprocessing: Preprocessing) -> str:
    """The text of a Python file whose `load` gives the network.

    Its parameters have the names that those of `nas_space.network.build` have.

    Raises:
        InvalidChoiceError: a type of convolution says no way to be written in plain torch.
    """
    channels, height, width = preprocessing.shape
    stem, *_ = architecture.layers()
    convs = list(dict.fromkeys(type(layer.conv) for layer in architecture.layers()))
    return _TEMPLATE.format(
        key=architecture.key,
        sources="\n".join([*(f"- {conv.kind}: {conv.paper}" for conv in convs), _RESIDUAL]),
        classes=len(preprocessing.classes),
        shape=preprocessing.shape,
        mean=preprocessing.mean,
        std=preprocessing.std,
        names="\n".join(f"    {_quoted(name)}," for name in preprocessing.classes),
        definitions="".join(_definitions(convs)),
        image=f"{channels}, {height}, {width}",
        channels=channels,
        height=height,
        width=width,
        mode="L" if channels == 1 else "RGB",
        stem=stem.conv.expression(channels, stem.c_out),
        first=stem.c_out,
        blocks="\n".join(_written(block) for block in _blocks(architecture)),
        last=architecture.stages[-1].width,
    )


def _definitions(convs: Iterable[type[Conv]]) -> Iterator[str]:
    for conv in convs:
        if conv.plain:
            yield f"{conv.plain}\n\n"


def _blocks(architecture: Architecture) -> Iterator[_Block]:
    _, *layers = architecture.layers()
    shortcuts = {shortcut.name: shortcut for shortcut in architecture.shortcuts()}
    for first, second in zip(layers[::2], layers[1::2], strict=True):
        yield _Block(first, second, shortcuts.get(first.name.replace("conv1", "shortcut")))


def _written(block: _Block) -> str:
    lines = [str(block.first.c_out), _expression(block.first), _expression(block.second)]
    if block.shortcut is not None:
        projection = _expression(block.shortcut)
        lines.append(f"nn.Sequential({projection}, nn.BatchNorm2d({block.shortcut.c_out}))")
    inside = "\n".join(f"                {line}," for line in lines)
    place = block.first.name.removesuffix(".conv1")
    return f"            Residual(  # {place}\n{inside}\n            ),"


def _expression(layer: Layer) -> str:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is written elsewhere
    return layer.conv.expression(layer.c_in, layer.c_out, layer.stride)


def _quoted(name: str) -> str:
    """A string literal in double quotes where it can be, as formatters like it."""
    plain = repr(name)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain
