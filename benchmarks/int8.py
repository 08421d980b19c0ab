"""What int8 does to networks of each type of convolution, in ONNX Runtime on this machine's CPU.

    uv run python -m benchmarks.int8 --dataset ~/cifar --size 16 --images 6000 --epochs 4

A small network of each type is trained, exported as ONNX, and quantised as an export does it.
Validation images that no training saw are classified by both: the difference is of the
same images in pairs, with its 95 % interval. Nothing is left in float32 here. Times are medians of
an image in turns, on one thread; of the files with each layer in its fastest form, and beside the
files in which convolutions keep their groups.
"""

import dataclasses
import sys
import time
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks.tables import circumstances
from benchmarks.trainer import NETWORKS
from nas_space.bundle import Bundle, Measured, Preprocessing, Record
from nas_space.bundle.forms import onnx_model
from nas_space.cli import Parser, positive
from nas_space.opsets import OPSET
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from studies.export.onnx_files import written
from trainers import devices
from trainers.data.registry import load
from trainers.data.splits import SearchData, Subset
from trainers.latency import in_turns
from trainers.recipes import RECIPES
from trainers.training import Trainer

TYPES = (
    "regular",
    "separable",
    "blueprint",
    "xception",
    "deep_roots",
    "igc",
    "igcv2",
    "octave",
    "mixed",
)
_WIDTHS = ("16", "32", "64")


def network(name: str) -> Architecture:
    """A network of a type's space, three stages of one block, or a network by name."""
    if name in NETWORKS:
        return NETWORKS[name]
    space, labels = get(name), dict[str, str]()
    for parameter in space.parameters:
        place, _, what = parameter.name.rpartition(".")
        if what == "width" and place[-1:] in "123":
            labels[parameter.name] = _WIDTHS[int(place[-1]) - 1]
        elif what == "setting" and name != "regular":  # there a kernel of 1 would be the middle
            labels[parameter.name] = parameter.labels[len(parameter.labels) // 2]
    if name == "mixed":
        types = iter(("octave", "xception", "igc", "deep_roots", "regular", "igcv2"))
        for stage in (1, 2, 3):
            for conv in (1, 2):
                labels[f"stage{stage}.block1.conv{conv}"] = next(types)
    return space.decode(labels)


def trained(architecture: Architecture, data: SearchData, epochs: int) -> Bundle:
    """The network with trained weights."""
    module = build(architecture, data.shape[0], len(data.classes), seed=1)
    recipe = dataclasses.replace(RECIPES.get("quick"), epochs=epochs)
    outcome = Trainer(data, recipe, devices.best(min(data.shape[1:]))).train(module, seed=1)
    measured = Measured(outcome.val_accuracy, len(data.val), recipe.name, epochs, 1)
    weights = {name: tensor.cpu().contiguous() for name, tensor in module.state_dict().items()}
    task = Preprocessing(data.shape, data.mean, data.std, data.classes)
    return Bundle.assemble(architecture, task, Record(measured, measured, measured), weights)


def row(name: str, bundle: Bundle, data: SearchData) -> str:
    """A line of the table."""
    # Whatever it loses is allowed: no layer is left in float32.
    files, before = (
        written(bundle, OPSET, data, 1.0, as_trained=as_trained) for as_trained in (False, True)
    )
    assert files.quantised is not None  # noqa: S101 - it was asked for
    found = files.quantised.validation
    contents = [*files.contents.values(), *before.contents.values()]
    image = torch.rand(1, *data.shape)
    calls = [partial(onnx_model.opened(content), image) for content in contents]
    large, small, large_before, small_before = (timed.median for timed in in_turns(calls))
    low, high = 100 * found.low, 100 * found.high
    return (
        f"| {name} | {found.fp32:.2%} | {found.int8:.2%} | {-100 * found.lost:+.2f} "
        f"({low:+.2f} to {high:+.2f}) | {1000 * large:.3f} ms | {1000 * small:.3f} ms | "
        f"{small / large:.2f} | {large / large_before:.2f} | {small / small_before:.2f} | "
        f"{len(contents[1]) / len(contents[0]):.2f} | {len(contents[1]) / len(contents[3]):.2f} |"
    )


def main(argv: Sequence[str]) -> int:
    """Print the table."""
    parser = Parser(prog="python -m benchmarks.int8", description=__doc__)
    parser.add_argument("--dataset", default="digits", metavar="NAME")
    parser.add_argument(
        "--size", type=positive, metavar="N", help="of a folder's images, in pixels"
    )
    parser.add_argument("--images", type=positive, metavar="N", help="train on so many")
    parser.add_argument("--epochs", type=positive, default=20, metavar="N")
    parser.add_argument("--types", nargs="+", default=TYPES, metavar="TYPE", help="or ResNet-20")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    subset = None if given.images is None else Subset(given.images, given.images)
    data = load(given.dataset, image_size=given.size, subset=subset).search
    print(
        f"{circumstances(1)}; {data.shape[1]}×{data.shape[2]} pixels, "
        f"{len(data.train):,} images, {given.epochs} epochs\n"
    )
    print(
        f"Differences are of {len(data.val):,} validation images.\n\n"
        "| type | fp32 | int8 | int8 minus fp32, points | fp32 | int8 | int8 : fp32 | fastest form "
        ": as trained, fp32 | the same, int8 | file, int8 : fp32 | file, fastest : as trained |\n"
        + "| --- " * 11
        + "|",
        flush=True,
    )
    for name in given.types:
        start = time.monotonic()
        bundle = trained(network(name), data, given.epochs)
        print(row(name, bundle, data), flush=True)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
