"""A script for an environment without convnas: opens bundles as their receiver would.

Its arguments are a folder of bundles, a file of images and of the logits expected of each bundle,
and a folder with a sub-folder of image files for each class. It prints a JSON object: for each
bundle the largest differences of its forms, and how many of the files were classified right.
"""

import importlib
import importlib.util
import json
import os
import re
import runpy
import sys
from pathlib import Path

import onnxruntime
import torch


def main(bundles: Path, expected: Path, photos: Path) -> None:
    for name in ("nas_space", "trainers", "studies", "searchers", "safetensors"):
        assert importlib.util.find_spec(name) is None, name
    torch.set_num_threads(1)  # single images, on a machine that may be busy
    wanted = torch.load(expected, weights_only=True)
    with torch.inference_mode():
        found = {name: opened(bundles / name, wanted[name], photos) for name in wanted}
    print(json.dumps(found))  # noqa: T201


def opened(folder: Path, wanted: list[tuple[torch.Tensor, torch.Tensor]], photos: Path) -> object:
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.modules.pop("model", None)
    model = importlib.import_module("model")
    assert Path(model.__file__ or "").parent == folder
    network = model.load()
    program = torch.export.load("program.pt2").module()
    session = onnxruntime.InferenceSession("model.onnx")
    worst = dict.fromkeys(("model.py", "program.pt2", "model.onnx"), 0.0)
    for images, logits in wanted:
        outputs = {
            "model.py": network(images),
            "program.pt2": program(images),
            "model.onnx": torch.from_numpy(session.run(None, {"images": images.numpy()})[0]),
        }
        for form, output in outputs.items():
            assert output.shape == logits.shape
            # As the exporting command has it: a share of the largest logit where that is above 1.
            difference = (output - logits).abs().max() / logits.abs().max().clamp(min=1)
            worst[form] = max(worst[form], difference.item())
    right = count = 0
    for path in sorted(photos.glob("*/*.png")):
        right += model.CLASSES[network(model.read_image(path)).argmax()] == path.parent.name
        count += 1
    blocks = code_of_the_card(folder)
    sys.path.remove(str(folder))
    return {"worst": worst, "right": right, "count": count, "blocks": blocks}


def code_of_the_card(folder: Path) -> int:
    """Run every piece of code in the card as it is printed; how many there are."""
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    for block in blocks:
        sys.modules.pop("model", None)
        (folder / "block.py").write_text(block)
        runpy.run_path(str(folder / "block.py"))
    return len(blocks)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
