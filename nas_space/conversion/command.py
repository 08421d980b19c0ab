"""`python -m nas_space.convert`: a network with other convolutions, layer by layer."""

import json
import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from nas_space.cli import Parser, console, positive, run
from nas_space.programs import program
from nas_space.tables import Column, Fitted
from nas_space.waiting import waiting

if TYPE_CHECKING:
    from nas_space.conversion.converting import Conversion

_SHAPE = re.compile(r"([1-9]\d{0,3})[x×]([1-9]\d{0,4})[x×]([1-9]\d{0,4})", re.ASCII)


def main() -> int:
    """Print the layers of a network, and what replaces each."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("nas_space.convert"),
        description="Replaces the convolutions of a network that you have, and prints for each "
        "what it was, what it is, its MACs (multiply-adds for one image, the papers' FLOPs), and "
        "why it stays as it was where it does. In Python: nas_space.conversion.convert.",
    )
    parser.add_argument(
        "backbone",
        metavar="NETWORK",
        help="a classification model of torchvision (resnet18), or module:function of your own",
    )
    parser.add_argument(
        "choices",
        nargs="+",
        metavar="CHOICE",
        help="a type of convolution, with settings or without: octave, 'octave(alpha=0.5)', "
        "'igc(M=2)'; for some layers only: 'layer3.*:igc'. The first that matches counts",
    )
    parser.add_argument(
        "--shape",
        type=_shape,
        default=(3, 224, 224),
        metavar="CxHxW",
        help="channels, height and width of the images (default: 3x224x224)",
    )
    parser.add_argument(
        "--classes", type=positive, help="of a model of torchvision (default: its own)"
    )
    parser.add_argument("--json", action="store_true", help="JSON, for programs")
    given = parser.parse_args()
    choices = dict(map(_choice, given.choices))
    with waiting(f"converting {given.backbone}"):
        from nas_space.conversion.converting import HEADINGS, convert  # noqa: PLC0415 - seconds
        from nas_space.spaces.backbone import loading  # noqa: PLC0415 - seconds

        model = loading.load(given.backbone, given.classes)
        found = convert(model, choices, shape=given.shape)
    if given.json:
        print(json.dumps(_facts(found), indent=2))  # noqa: T201
        return 0
    names, was, before, now, after = HEADINGS
    columns = (
        Column(names, left=True),
        Column(was, text=True),
        Column(before),
        Column(now, text=True),
        Column(after),
    )
    output = console()
    output.print(Fitted(columns, found.rows, lines=False))
    output.print(found.sums)
    return 0


def _shape(text: str) -> tuple[int, int, int]:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no shape like 3x224x224")
    channels, height, width = map(int, match.groups())
    return channels, height, width


def _choice(text: str) -> tuple[str, str]:
    """Read ``layer3.*:igc`` or ``igc``."""
    pattern, colon, label = text.rpartition(":")
    return (pattern if colon else "*"), label


def _facts(found: "Conversion") -> dict[str, Any]:
    return {
        "macs": {"before": found.before.macs, "after": found.after.macs},
        "params": {"before": found.before.params, "after": found.after.params},
        "layers": [
            {
                "name": layer.site.name,
                "was": str(layer.site),
                "is": str(layer.conv) if layer.conv is not None else None,
                "macs": {"before": layer.site.macs, "after": layer.macs},
                "reason": layer.reason,
            }
            for layer in found.layers
        ],
    }
