"""Whether all forms of an exported network are the same one, seen by a process without ours."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nas_space.bundle.forms import FORMS
from nas_space.bundle.manifest import BundleError

_SCRIPT = Path(__file__).with_name("fresh.py")
MAX_DIFFERENCE = 1e-5
"""Largest difference of equal outputs, as a share of the largest logit where that is above 1."""
BATCHES = (1, 7)


def verify(folder: Path, network: nn.Module, shape: tuple[int, int, int]) -> None:
    """Hold `model.py` and every form to the outputs of the network that they were made of.

    Raises:
        BundleError: a form cannot be opened, or gives other outputs.
    """
    with tempfile.TemporaryDirectory(prefix="convnas-") as scratch:
        expected = Path(scratch, "expected.safetensors")
        save_file(_expected(network, shape), expected)
        # -I: neither this folder, nor the user's settings of Python, nor the user's packages.
        done = subprocess.run(  # noqa: S603 - this very Python
            [sys.executable, "-I", "-B", _SCRIPT, folder, expected, *_openers()],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BundleError(f"the exported network cannot be opened in a fresh process: {reason}")
    for name, worst in json.loads(done.stdout.splitlines()[-1]).items():
        if not worst <= MAX_DIFFERENCE:  # also refuses nan
            raise BundleError(
                f"{name} gives other outputs than the network that was exported, by {worst:.1e}"
            )


def _openers() -> list[str]:
    """Each form's file, with the Python file that opens it."""
    return [f"{form.FILE}={form.__file__}" for form in FORMS.all().values()]


def _expected(network: nn.Module, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    with torch.inference_mode():
        for number, count in enumerate(BATCHES):
            images = torch.rand(count, *shape, generator=generator)
            tensors[f"images{number}"] = images
            tensors[f"logits{number}"] = network(images).contiguous()
    return tensors
