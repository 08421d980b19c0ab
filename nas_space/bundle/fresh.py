"""A script for a fresh process: opens every form of an exported network and compares outputs.

Its arguments are the folder and a safetensors file with images and the logits expected of them.
None of our packages can be imported in it. It prints, for each form, the largest difference.
"""

import json
import sys
from pathlib import Path

_OURS = ("nas_space", "trainers", "studies", "searchers")
# Python refuses to import what it remembers as None, wherever it may be installed.
sys.modules.update(dict.fromkeys(_OURS))  # type: ignore[arg-type]

import numpy as np  # noqa: E402 - after that
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch import Tensor  # noqa: E402


def main(folder: Path, expected: Path) -> None:
    """Print the differences as a JSON object."""
    sys.path.insert(0, str(folder))
    from model import load  # type: ignore[import-not-found]  # noqa: PLC0415 - the folder's own

    # Seven images are no work for many threads, which would wait for each other on a busy machine.
    torch.set_num_threads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    program = torch.export.load(folder / "program.pt2").module()
    forms = {
        "model.py": load(),
        "program.pt2": program,
        "model.onnx": lambda images: torch.from_numpy(
            np.asarray(session.run(None, {"images": images.numpy()})[0])
        ),
    }
    tensors = load_file(expected)
    batches = [(tensors[f"images{n}"], tensors[f"logits{n}"]) for n in range(len(tensors) // 2)]
    worst = {}
    with torch.inference_mode():
        for name, form in forms.items():
            differences = [difference(form(images), logits) for images, logits in batches]
            worst[name] = max(differences)
    print(json.dumps(worst))  # noqa: T201 - for the process that waits


def difference(logits: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest logit where that is above 1."""
    if logits.shape != expected.shape:
        raise ValueError(f"logits {tuple(logits.shape)} instead of {tuple(expected.shape)}")
    worst: float = ((logits - expected).abs().max() / expected.abs().max().clamp(min=1)).item()
    return worst


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
