"""Functions that an exported `model.py` carries as they stand here, beside the network itself."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: the header's length, the header (JSON), the numbers."""
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    types = {"F32": torch.float32, "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8}
    types |= {"I16": torch.int16, "I8": torch.int8, "BOOL": torch.bool}
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


def place(root: nn.Module, name: str, part: nn.Module | Tensor, *, kept: bool = True) -> None:
    """Keep a part of a module under a name with dots, in its state_dict or not."""
    *path, last = name.split(".")
    for step in path:
        if not hasattr(root, step):
            root.add_module(step, nn.Module())
        root = getattr(root, step)
    if isinstance(part, nn.Module | nn.Parameter):
        setattr(root, last, part)
    else:
        root.register_buffer(last, part, persistent=kept)
