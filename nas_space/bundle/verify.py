"""Whether all forms of an exported network are the same one, seen by a process without ours."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nas_space.bundle import int8
from nas_space.bundle.forms import FORMS, onnx_model
from nas_space.bundle.manifest import BundleError
from nas_space.scratch import scratch
from nas_space.waiting import waiting

_SCRIPT = Path(__file__).with_name("fresh.py")
MAX_DIFFERENCE = 1e-5
"""Largest difference of equal outputs, as a share of the largest logit where that is above 1."""
MAX_ROUNDING = 3
"""Times the error of the network itself in float32 that a form may have, where that is more."""
BATCHES = (1, 7)


def verify(folder: Path, network: nn.Module, shape: tuple[int, int, int]) -> None:
    """Hold `model.py` and every form to the outputs of the network that they were made of.

    Those are computed in float64. A form rounds in another order than the network, so it may be as
    far from them as the network itself in float32 is, times `MAX_ROUNDING`. A network in int8 is
    held to its own outputs in this process: its accuracy is measured of these.

    Raises:
        BundleError: a form cannot be opened, or gives other outputs.
    """
    tensors, rounding = _expected(network, shape)
    openers = {form.FILE: str(form.__file__) for form in FORMS.all().values()}
    if (folder / int8.FILE).exists():
        openers[int8.FILE] = onnx_model.__file__
        tensors |= _given_here(folder / int8.FILE, tensors)
    with scratch("convnas-") as place:
        expected = place / "expected.safetensors"
        save_file(tensors, expected)
        # -I: neither this folder, nor the user's settings of Python, nor the user's packages.
        with waiting("checking the files in another process"):
            done = subprocess.run(  # noqa: S603 - this very Python
                [
                    sys.executable,
                    "-I",
                    "-B",
                    _SCRIPT,
                    folder,
                    expected,
                    *map("=".join, openers.items()),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BundleError(f"the exported network cannot be opened in a fresh process: {reason}")
    allowed = max(MAX_DIFFERENCE, MAX_ROUNDING * rounding)
    for name, worst in json.loads(done.stdout.splitlines()[-1]).items():
        if not worst <= allowed:  # also refuses nan
            raise BundleError(
                f"{name} gives other outputs than the network that was exported, by {worst:.1e} "
                f"where {allowed:.1e} would be rounding"
            )


def _given_here(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The logits that an ONNX file of its own outputs gives in this process."""
    run = onnx_model.opened(path)
    return {
        f"{path.name} logits{n}": run(tensors[f"images{n}"]).contiguous()
        for n in range(len(BATCHES))
    }


def _expected(network: nn.Module, shape: tuple[int, int, int]) -> tuple[dict[str, Tensor], float]:
    """Images with their logits in float64, and how far from them those in float32 are."""
    exact = _in_float64(network, shape)
    generator = torch.Generator().manual_seed(0)
    tensors, rounding = dict[str, Tensor](), 0.0
    with torch.inference_mode():
        for number, count in enumerate(BATCHES):
            images = torch.rand(count, *shape, generator=generator)
            logits: Tensor = exact(images)
            tensors[f"images{number}"] = images
            tensors[f"logits{number}"] = logits.contiguous()
            rounding = max(rounding, _difference(network(images), logits))
    return tensors, rounding


def _in_float64(network: nn.Module, shape: tuple[int, int, int]) -> Callable[[Tensor], Tensor]:
    """The network in float64; itself, if a part of it takes float32 alone."""
    twin = copy.deepcopy(network).double()
    try:
        with torch.inference_mode():
            twin(torch.zeros(1, *shape, dtype=torch.float64))
    except RuntimeError:
        return network
    return lambda images: twin(images.double())


def _difference(logits: Tensor, expected: Tensor) -> float:
    """As the fresh process measures it."""
    return float((logits - expected).abs().max() / expected.abs().max().clamp(min=1))
