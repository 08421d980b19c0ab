"""`python -m benchmarks.conversion`: torchvision's networks with each type of convolution.

Each network is converted to each type with that type's middle settings, old weights carried over
where the type can. Of the original and its conversions, one training step (forward and backward) is
timed in turn, in several rounds. What fails is a line, not an end.
"""

import collections
import re
import statistics
import time
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.tables import circumstances
from nas_space.cli import Parser, positive, short
from nas_space.convert import Conversion, ConversionError, convert
from nas_space.convs import TYPES
from nas_space.spaces.backbone import loading

MODELS = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0",
    "efficientnet_b1", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large",
    "mobilenet_v3_small", "regnet_x_1_6gf", "regnet_x_400mf", "regnet_x_800mf", "regnet_y_1_6gf",
    "regnet_y_400mf", "regnet_y_800mf", "resnet18", "resnet34", "resnet50",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x2_0",
    "squeezenet1_0", "squeezenet1_1", "swin_t", "vgg11", "vgg13", "vgg16_bn", "vit_b_16",
)  # fmt: skip
_BATCH = 2


def main() -> int:
    """Print a row for each network, and why layers stay."""
    parser = Parser(prog="python -m benchmarks.conversion", description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--size", type=positive, default=224, help="pixels a side")
    parser.add_argument("--rounds", type=positive, default=3, help="of timing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{circumstances(given.rounds)}; one thread, {given.size}×{given.size} pixels, batch 2\n")
    print("replaced of all convolutions (of which carried), MACs and step time to the original's\n")
    row("network", "MACs", *TYPES)
    row(*["---"] * (2 + len(TYPES)))
    reasons: collections.Counter[str] = collections.Counter()
    for name in given.models:
        model = loading.load(name)
        made = conversions(model, given.size)
        good = {kind: found for kind, found in made.items() if isinstance(found, Conversion)}
        parts = {kind: found.model for kind, found in good.items() if found.replaced}
        times = seconds({"": model, **parts}, given.size, given.rounds)
        macs = next((short(found.before.macs) for found in good.values()), "")
        row(name, macs, *(cell(found, times.get(kind)) for kind, found in made.items()))
        for found in good.values():
            reasons.update(plain(layer.reason) for layer in found.layers if layer.reason)
    print("\nwhy a layer stays, and how often\n")
    row("layers", "why")
    row("---", "---")
    for reason, count in reasons.most_common():
        row(str(count), reason)
    return 0


def conversions(model: nn.Module, size: int) -> dict[str, Conversion | str]:
    """For each type the conversion of a network, or why there is none."""
    made: dict[str, Conversion | str] = {}
    for kind in TYPES:
        try:
            made[kind] = convert(model, kind, shape=(3, size, size), init_from_dense=True)
        except ConversionError as error:
            made[kind] = str(error)
    return made


def seconds(models: dict[str, nn.Module], size: int, rounds: int) -> dict[str, float]:
    """The median, over rounds, of each network's step time to that of the first in that round."""
    ratios: dict[str, list[float]] = {}
    images = torch.randn(_BATCH, 3, size, size).to(memory_format=torch.channels_last)
    for number in range(rounds + 1):
        took = {kind: step(model, images) for kind, model in models.items()}
        if None in took.values():
            return {}
        for kind, value in took.items():
            if number and value is not None:  # the first is for warming up
                ratios.setdefault(kind, []).append(value / (took[""] or 1))
    return {kind: statistics.median(values) for kind, values in ratios.items()}


def step(model: nn.Module, images: Tensor) -> float | None:
    """Seconds of one forward and backward pass in training mode; None for one that fails.

    Some networks want larger images, for their helpers in training, or at all.
    """
    model.train().to(memory_format=torch.channels_last)
    model.zero_grad()
    start = time.perf_counter()
    try:
        losses = [tensor.square().mean() for tensor in tensors(model(images))]
    except Exception:  # noqa: BLE001 - whatever a network may refuse
        return None
    torch.autograd.backward(losses)
    return time.perf_counter() - start


def tensors(output: object) -> Iterator[Tensor]:
    """The tensors that a network gives: two of them have helpers in training."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple):
        yield from (tensor for tensor in output if isinstance(tensor, Tensor))


def cell(found: Conversion | str, took: float | None) -> str:
    """One conversion in a few signs."""
    if isinstance(found, str):
        return found
    if not found.replaced:
        return "none"
    from_dense = sum(layer.from_dense for layer in found.replaced)
    share = found.after.macs / found.before.macs
    replaced = f"{len(found.replaced)}/{len(found.layers)} ({from_dense})"
    return f"{replaced}, {share:.2f}, {f'{took:.2f}' if took else 'fails in training'}"


def plain(reason: str) -> str:
    """A reason without the numbers of one layer."""
    reason = re.sub(r"^\w+\([^)]*\)(?= would)|^xception(?:\([^)]*\))?(?= would)", "it", reason)
    if " would take " in reason:
        return "its replacement would take as many MACs, or more"
    if " has no settings " in reason:
        return "the type has no setting for such widths"
    return reason


def row(*cells: str) -> None:
    """Print a row of a table in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
