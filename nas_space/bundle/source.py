"""The text of `model.py`: an architecture as a module of plain torch, to read and to run."""

import re

from nas_space.bundle.preprocessing import Preprocessing
from nas_space.bundle.written import READERS
from nas_space.layers.source import definitions
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.skeletons import SKELETONS

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
{functional}
INPUT_SIZE = {shape}  # channels, height, width
BITS = {bits}  # of grey levels, in files that have more than 8
EARLIER = {earlier}  # read without transparency, as convnas did before 2026-12
MEAN = {mean}
STD = {std}
CLASSES = (
{names}
)


{definitions}{network}


def load(folder: Path = Path(__file__).parent) -> nn.Module:
    """The trained network, in eval mode."""
    trained = network()
    trained.load_state_dict(read_weights(folder / "weights.safetensors"))
    return trained.eval()


{readers}
'''

_FUNCTIONAL = "from torch.nn import functional as F\n"
_IMPORTS = {"import json", "import math", "from pathlib import Path"}
_CONSTANTS = {"INPUT_SIZE", "BITS", "EARLIER"}
"""Lines and names that the template has."""


def source(architecture: Architecture, preprocessing: Preprocessing) -> str:
    """The text of a Python file whose `load` gives the network.

    Its parameters have the names that those of `nas_space.spaces.building.build` have.

    Raises:
        InvalidChoiceError: a type of convolution says no way to be written in plain torch.
        InvalidArchitectureError: a backbone cannot be.
    """
    write = SKELETONS.get(architecture.skeleton).write
    found = write(architecture, preprocessing.shape, len(preprocessing.classes))
    imports, parts = found.definitions()
    readers = [definitions(part) for part in READERS]
    imports = list(dict.fromkeys([*imports, *(line for part in readers for line in part.imports)]))
    body = "\n".join([*parts, found.text])
    return _TEMPLATE.format(
        functional=_FUNCTIONAL * bool(re.search(r"\bF\.", body)),
        imports="".join(f"{line}\n" for line in imports if line not in _IMPORTS),
        key=architecture.key,
        sources="\n".join(
            [*(f"- {conv.kind}: {conv.paper}" for conv in found.convs), *found.sources]
        ),
        classes=len(preprocessing.classes),
        shape=preprocessing.shape,
        bits=preprocessing.bits,
        earlier=preprocessing.earlier,
        mean=preprocessing.mean,
        std=preprocessing.std,
        names="\n".join(f"    {_quoted(name)}," for name in preprocessing.classes),
        definitions="".join(f"{part}\n\n\n" for part in parts),
        network=found.text.rstrip(),
        readers="\n\n\n".join(
            text for part in readers for name, text in part.parts.items() if name not in _CONSTANTS
        ),
    )


def _quoted(name: str) -> str:
    """A string literal in double quotes where it can be, as formatters like it."""
    plain = repr(name)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain
