"""`python -m studies.predict`: the classes of images, by an exported network."""

import json

from nas_space.cli import BACKBONE, Parser, expanded, positive, run
from nas_space.programs import program
from nas_space.waiting import waiting
from trainers.arguments import add_pixels_argument

_TOP_CLASSES = 3


def main() -> int:
    """Print the classes that an exported network sees in images."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.predict"),
        description="Say the most probable classes of images, by an exported network.",
    )
    parser.add_argument(
        "bundle", type=expanded, metavar="BUNDLE", help="an exported network's folder"
    )
    parser.add_argument("images", type=expanded, nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument(
        "--top",
        type=positive,
        default=_TOP_CLASSES,
        metavar="N",
        help="classes (default: %(default)s)",
    )
    add_pixels_argument(parser)
    parser.add_argument("--backbone", metavar="MODULE:FUNCTION", help=BACKBONE)
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")
    arguments = parser.parse_args()
    with waiting("loading torch"):
        from nas_space.bundle import Bundle  # noqa: PLC0415 - seconds
        from studies.prediction import predict  # noqa: PLC0415 - seconds

    with waiting(f"reading {arguments.bundle} and the images"):
        bundle = Bundle.read(arguments.bundle, arguments.backbone)
        rankings = predict(bundle, arguments.images, arguments.max_pixels)
    shown = [(path, ranking[: arguments.top]) for path, ranking in rankings]
    if arguments.json:
        rows = [{"image": str(path), "classes": dict(top)} for path, top in shown]
        print(json.dumps(rows, indent=2, ensure_ascii=False))  # noqa: T201
        return 0
    for path, top in shown:
        told = ", ".join(f"{name} {share:.2%}" for name, share in top)
        print(f"{path}: {told}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
