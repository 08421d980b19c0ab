"""A script for a fresh process: opens every form of an exported network and compares outputs.

Its arguments are the folder, a safetensors file with images and the logits expected of them, and
for each form FILE=OPENER: a file of the folder, and the Python file whose ``opened`` opens it. None
of our packages can be imported in it. A form may have logits of its own there. It prints, for each
form, the largest difference.
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

_OURS = ("nas_space", "trainers", "studies", "searchers")
# Python refuses to import what it remembers as None, wherever it may be installed.
sys.modules.update(dict.fromkeys(_OURS))  # type: ignore[arg-type]

import torch  # noqa: E402 - after that
from safetensors.torch import load_file  # noqa: E402
from torch import Tensor  # noqa: E402


def main(folder: Path, expected: Path, openers: dict[str, Path]) -> None:
    """Print the differences as a JSON object."""
    sys.path.insert(0, str(folder))
    from model import load  # type: ignore[import-not-found]  # noqa: PLC0415 - the folder's own

    # Seven images are no work for many threads, which would wait for each other on a busy machine.
    torch.set_num_threads(1)
    forms = {"model.py": load()}
    forms |= {name: opened(folder / name, opener) for name, opener in openers.items()}
    tensors = load_file(expected)
    batches = [name.removeprefix("images") for name in tensors if name.startswith("images")]
    worst = {}
    with torch.inference_mode():
        for name, form in forms.items():
            worst[name] = max(
                difference(
                    form(tensors[f"images{batch}"]),
                    tensors.get(f"{name} logits{batch}", tensors[f"logits{batch}"]),
                )
                for batch in batches
            )
    print(json.dumps(worst))  # noqa: T201 - for the process that waits


def opened(path: Path, opener: Path) -> Callable[[Tensor], Tensor]:
    """What a file computes, opened by the function of that name in a Python file."""
    spec = importlib.util.spec_from_file_location(opener.stem, opener)
    assert spec is not None  # noqa: S101 - it is a file with Python's suffix
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    form: Callable[[Tensor], Tensor] = module.opened(path)
    return form


def difference(logits: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest logit where that is above 1."""
    if logits.shape != expected.shape:
        raise ValueError(f"logits {tuple(logits.shape)} instead of {tuple(expected.shape)}")
    worst: float = ((logits - expected).abs().max() / expected.abs().max().clamp(min=1)).item()
    return worst


if __name__ == "__main__":
    _, given_folder, given_expected, *given = sys.argv
    pairs = (text.partition("=") for text in given)
    main(Path(given_folder), Path(given_expected), {file: Path(path) for file, _, path in pairs})
