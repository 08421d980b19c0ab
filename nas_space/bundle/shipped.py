"""Functions that an exported `model.py` carries as they stand here, beside the network itself."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

INPUT_SIZE = (3, 32, 32)
"""Channels, height and width. An export has its own in this place."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: the header's length, the header (JSON), the numbers."""
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    types = {"F32": torch.float32, "I64": torch.int64}
    return {
        name: torch.frombuffer(
            data,
            dtype=types[entry["dtype"]],
            count=math.prod(entry["shape"]),
            offset=start + entry["data_offsets"][0],
        ).view(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def read_image(path: str | Path) -> Tensor:
    """An image file as (1, *INPUT_SIZE), values 0 to 1: upright, its centre, at that size."""
    from PIL import Image, ImageOps

    channels, height, width = INPUT_SIZE
    with Image.open(path) as file:
        wide = file.mode.startswith("I;16")
        image = file.convert("I").point(lambda value: value * (1 / 256)) if wide else file
        upright = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(upright.tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, width, channels).permute(0, 3, 1, 2) / 255


class Normalise(nn.Module):
    """Pixels from 0 to 1 brought to mean 0 and deviation 1 a channel, as training did."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return (x - self.mean) / self.std


def place(root: nn.Module, name: str, part: nn.Module | Tensor) -> None:
    """Keep a part of a module under a name with dots."""
    *path, last = name.split(".")
    for step in path:
        if not hasattr(root, step):
            root.add_module(step, nn.Module())
        root = getattr(root, step)
    if isinstance(part, nn.Module | nn.Parameter):
        setattr(root, last, part)
    else:
        root.register_buffer(last, part)
