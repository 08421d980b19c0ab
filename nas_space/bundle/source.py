"""The text of `model.py`: an architecture as a module of plain torch, to read and to run."""

from collections.abc import Callable
from typing import Any

from nas_space.bundle.manifest import BundleError
from nas_space.bundle.preprocessing import Preprocessing
from nas_space.bundle.written import Written
from nas_space.registry import Registry, imported
from nas_space.spaces.architecture import Architecture

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
{imports}from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE = {shape}  # channels, height, width
MEAN = {mean}
STD = {std}
CLASSES = (
{names}
)


{definitions}{network}


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

_IMPORTS = {"import json", "import math", "from pathlib import Path"}
"""Lines that the template has."""

Writer = Callable[[Any, tuple[int, int, int], int], Written]
"""It is given an architecture of its skeleton, the image's shape, and the number of classes."""

_OURS = {
    "residual": "nas_space.bundle.residual:written",
    "backbone": "nas_space.bundle.traced:written",
}

WRITERS: Registry[Writer] = Registry(
    "writer",
    BundleError,
    refusal="nothing writes networks of the skeleton {name}; known skeletons: {names}",
    found=lambda: (imported(name, path) for name, path in _OURS.items()),
)
"""What writes a network as Python text, by `Architecture.skeleton`."""


def source(architecture: Architecture, preprocessing: Preprocessing) -> str:
    """The text of a Python file whose `load` gives the network.

    Its parameters have the names that those of `nas_space.spaces.building.build` have.

    Raises:
        InvalidChoiceError: a type of convolution says no way to be written in plain torch.
        InvalidArchitectureError: a backbone cannot be.
    """
    channels, height, width = preprocessing.shape
    write = WRITERS.get(architecture.skeleton)
    found = write(architecture, preprocessing.shape, len(preprocessing.classes))
    imports, definitions = found.definitions()
    return _TEMPLATE.format(
        imports="".join(f"{line}\n" for line in imports if line not in _IMPORTS),
        key=architecture.key,
        sources="\n".join(
            [*(f"- {conv.kind}: {conv.paper}" for conv in found.convs), *found.sources]
        ),
        classes=len(preprocessing.classes),
        shape=preprocessing.shape,
        mean=preprocessing.mean,
        std=preprocessing.std,
        names="\n".join(f"    {_quoted(name)}," for name in preprocessing.classes),
        definitions="".join(f"{part}\n\n\n" for part in definitions),
        network=found.text.rstrip(),
        image=f"{channels}, {height}, {width}",
        channels=channels,
        height=height,
        width=width,
        mode="L" if channels == 1 else "RGB",
    )


def _quoted(name: str) -> str:
    """A string literal in double quotes where it can be, as formatters like it."""
    plain = repr(name)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain
