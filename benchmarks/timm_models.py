"""How many of timm's small networks a search takes, as functions of a user's file.

    uv run --with timm python -m benchmarks.timm_models
    uv run --with timm python -m benchmarks.timm_models --models resnet18 hrnet_w18_small

Each is written into a file as a function, and looked up as ``--space backbone:FILE:NAME`` does:
what is taken was written as an export writes it, run, and compared, as it is and with other
convolutions.
"""

import argparse
import importlib.metadata
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nas_space.costs.cost import Task
from nas_space.errors import ConvnasError
from nas_space.spaces.registry import find

MODELS = (
    "resnet18",
    "seresnext26d_32x4d",
    "resnext26ts",
    "res2net50_14w_8s",
    "densenet121",
    "dla46_c",
    "hrnet_w18_small",
    "ese_vovnet19b_dw",
    "regnety_002",
    "repvgg_a0",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mnasnet_small",
    "efficientnet_b0",
    "tinynet_e",
    "lcnet_050",
    "ghostnet_100",
    "rexnet_100",
    "convnext_atto",
)
"""Small convolutional networks of twenty families, chosen before any was tried."""
CLASSES = 10
_FUNCTION = """

def {name}():
    return timm.create_model("{name}", num_classes={classes}, features_only=False)
"""


def outcome(name: str, module: str, task: Task) -> tuple[bool, str]:
    """Whether a search takes a network, and how many choices it has, or why it does not."""
    try:
        space = find(f"backbone:{module}:{name}", task)
    except ConvnasError as error:
        return False, str(error).replace("\n", " ").replace("|", "\\|")
    return True, f"{len(space.parameters)} choices, {space.size():.1e} networks"


def main(argv: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--models", nargs="+", metavar="NAME", default=MODELS)
    parser.add_argument("--size", type=int, default=64, help="of the images, in pixels")
    given = parser.parse_args(argv)
    task = Task(3, (given.size, given.size), CLASSES)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "timm"))
    print(f"{time.strftime('%Y-%m-%d')}, {versions}, images of {given.size}×{given.size}\n")
    print(
        "| network | taken | choices, or why not | seconds |\n| --- | --- | --- | --- |", flush=True
    )
    taken = 0
    with tempfile.TemporaryDirectory() as folder:
        functions = [_FUNCTION.format(name=name, classes=CLASSES) for name in given.models]
        Path(folder, "of_timm.py").write_text("import timm\n" + "".join(functions))
        sys.path.insert(0, folder)
        for name in given.models:
            start = time.monotonic()
            is_taken, said = outcome(name, "of_timm", task)
            taken += is_taken
            seconds = time.monotonic() - start
            row = f"| {name} | {'yes' if is_taken else 'no'} | {said} | {seconds:.0f} |"
            print(row, flush=True)
    print(f"\n{taken} of {len(given.models)} are taken")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
