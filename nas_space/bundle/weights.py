"""Weights as safetensors: names, shapes and numbers, nothing that could be executed."""

import math
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from nas_space.bundle.manifest import BundleError
from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""What BN counts and no gradient moves."""


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write them.

    Raises:
        OSError: the file cannot be written.
    """
    # By Python, whose error says why it failed.
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in weights.items()}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read them.

    Raises:
        BundleError: it is missing, damaged, or no safetensors file.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def check_count(path: Path, architecture: Architecture, task: Task) -> None:
    """Make sure, from the headers alone, that the file holds as many numbers as the network.

    A network of gigabytes is not built for a few kilobytes of weights.

    Raises:
        BundleError: they are more or fewer, or the file is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None
    held = sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_BUFFERS))
    params = predict(architecture, task).params
    if held != params:
        raise BundleError(
            f"{path} holds {held:,} weights and the architecture has {params:,}: they do not "
            "belong together"
        )


def _unreadable(path: Path, error: Exception) -> BundleError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BundleError(f"{path} are no weights in safetensors form: {reason}")
