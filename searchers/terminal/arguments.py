"""The command line of a search, as `Settings`."""

import argparse
from collections.abc import Sequence

from nas_space.cli import Parser, expanded, positive, quantity, seconds
from nas_space.programs import program, spoken
from nas_space.spaces.registry import spaces
from searchers.limits import Limits
from searchers.samplers import registry as samplers
from searchers.settings import START_SECONDS, ClusterOptions, Settings
from studies import objective as objectives
from studies.arguments import add_device_argument, add_storage_argument
from studies.objective import MACS, Objective
from studies.runtimes import DEFAULT_RUNTIME, RUNTIMES
from trainers.arguments import add_balance_argument, add_pixels_argument
from trainers.data.registry import DATASETS
from trainers.metrics import METRICS
from trainers.recipes import DEFAULT_METRIC, RECIPES

_EXAMPLES = """\
examples:
  {program} --space mixed --budget 200
      the default: handwritten digits that come with the install
  {program} --space mixed --budget 100 --dataset ~/photos --max-macs 20M
      your own images: a folder with a sub-folder for each class
  {program} --space igc --budget 50 --dataset cifar10 --subset 5000 --epochs 3
      a quick look at one type of convolution on a part of CIFAR-10

The same command continues where it was stopped. MACs are multiply-adds per image, which the papers
call FLOPs.
"""


def read(argv: Sequence[str]) -> Settings:
    """The settings that a command line asks for; exits with code 2 where it is malformed."""
    parser = _parser()
    given = parser.parse_args(argv)
    return Settings(
        space=given.space,
        pretrained=given.init == "pretrained",
        budget=given.budget,
        dataset=given.dataset,
        image_size=given.image_size,
        max_pixels=given.max_pixels,
        subset=given.subset,
        val_subset=given.val_subset,
        flip=not given.no_flip,
        data_dir=given.data_dir,
        recipe=given.recipe,
        metric=given.metric,
        balance=given.balance,
        evaluate=given.evaluate,
        epochs=given.epochs,
        rungs=given.rungs,
        sampler=given.sampler,
        seed=given.seed,
        study=given.study,
        storage=given.storage,
        limits=_limits(parser, given),
        objective=given.objective,
        target=_target(parser, given),
        latency_command=given.latency_command,
        runtime=given.runtime,
        latency_threads=given.latency_threads,
        latency_batch=given.latency_batch,
        device=given.device,
        cluster=ClusterOptions(
            given.address, given.concurrency, given.cpus_per_trial, given.gpus_per_trial
        ),
        trial_timeout=given.trial_timeout,
        start_timeout=given.start_timeout,
        verbose=given.verbose,
        command=spoken("searchers.run", argv),
    )


def _parser() -> Parser:
    parser = Parser(
        prog=program("searchers.run"),
        description="Search the networks that trade validation accuracy against MACs best: which "
        "convolution belongs in which layer?",
        epilog=_EXAMPLES.format(program=program("searchers.run")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to search")
    what.add_argument(
        "--space",
        required=True,
        help=f"the networks to choose from: {', '.join(spaces())}; or backbone:NAME, the network "
        "that you have, a classification model of torchvision (backbone:resnet18) or a function "
        "that makes it (backbone:module:function)",
    )
    what.add_argument(
        "--init",
        choices=("fresh", "pretrained"),
        default="fresh",
        help="whether a backbone of torchvision begins with the weights that come with it; layers "
        "that are replaced take over what they can (default: fresh)",
    )
    what.add_argument(
        "--budget",
        required=True,
        type=positive,
        metavar="N",
        help="full trainings to pay for: with --rungs, their epochs make several times as many "
        "partial ones",
    )
    what.add_argument(
        "--objective",
        default=MACS.name,
        metavar="COST",
        help=f"the cost to make small beside a large accuracy: {', '.join(objectives.OBJECTIVES)} "
        "(default: %(default)s)",
    )
    what.add_argument(
        "--target",
        metavar="COST",
        help="the most that the network you want may cost, like 2M (or 5ms with --objective "
        "latency): the search spends most of its budget just below (default: every octave of "
        "costs alike)",
    )
    what.add_argument("--max-macs", type=quantity, metavar="N", help="most MACs per image, like 5M")
    what.add_argument("--max-params", type=quantity, metavar="N", help="most parameters, like 200k")
    what.add_argument(
        "--max-activation-memory",
        type=quantity,
        metavar="N",
        help="most bytes of activations alive at once while one image is answered in fp32, like "
        "256k (docs/decisions/0012)",
    )
    what.add_argument(
        "--max-latency",
        type=seconds,
        metavar="T",
        help="longest predicted time for an image on this machine, like 5ms: its layers are timed "
        "first, once, for a minute or, in ONNX Runtime, for some",
    )
    what.add_argument(
        "--latency-command",
        metavar="COMMAND",
        help="... or on a device of yours: a command like 'ssh pi python measure.py {model}' that "
        "is given ONNX files for {model} and prints the seconds for one image, or '3.2 ms'",
    )
    what.add_argument(
        "--runtime",
        default=DEFAULT_RUNTIME,
        metavar="NAME",
        help=f"where that time is measured: {', '.join(RUNTIMES)} (default: %(default)s)",
    )
    what.add_argument(
        "--latency-threads",
        type=positive,
        metavar="N",
        help="... with N threads (default: 1 in ONNX Runtime, in torch as many as it takes here)",
    )
    what.add_argument(
        "--latency-batch",
        type=positive,
        default=1,
        metavar="N",
        help="the time is that of N images together, like 64 (default: %(default)s)",
    )
    what.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE,…",
        help="most that a network may cost by any objective, also a plugin's",
    )
    add_device_argument(what, "only networks that this device runs, and that fit into its memories")
    data = parser.add_argument_group("on which images")
    data.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or a folder with a sub-folder of images for each class, with "
        "or without train, val and test folders above them, or a table of paths and labels (.csv, "
        ".tsv, .parquet; docs/search.md), or module:function, which gives arrays "
        "(docs/extending.md; default: %(default)s)",
    )
    data.add_argument(
        "--image-size",
        type=positive,
        metavar="N",
        help="resize a folder's images to N×N pixels (default: at most 64)",
    )
    add_pixels_argument(data)
    data.add_argument(
        "--subset", type=positive, metavar="N", help="train on N of the images, to look quickly"
    )
    data.add_argument(
        "--val-subset",
        type=positive,
        metavar="N",
        help="with --subset, validate on N images (default: as many, and at least 250)",
    )
    data.add_argument(
        "--no-flip", action="store_true", help="train on no mirror images, as of letters or signs"
    )
    data.add_argument(
        "--data-dir",
        type=expanded,
        metavar="DIR",
        help="keeps downloads (default: ~/.cache/convnas)",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--recipe",
        default="quick",
        help=f"how each network is trained: {', '.join(RECIPES)} (default: %(default)s)",
    )
    how.add_argument(
        "--metric",
        choices=METRICS,
        default=DEFAULT_METRIC,
        help="what is made large: %(choices)s (default: %(default)s); balanced-accuracy, the "
        "mean over the classes, and macro-f1, that of F1, count small ones as much as large ones",
    )
    add_balance_argument(how)
    how.add_argument(
        "--evaluate",
        metavar="MODULE:FUNCTION",
        help="a function of yours that trains a module on given images and returns a number, to be "
        "made large instead (docs/extending.md)",
    )
    how.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help="passes over the images, instead of the recipe's",
    )
    how.add_argument(
        "--rungs",
        type=_rungs,
        metavar="N,N,…",
        help="epochs after which only the best third continues, up to those of a full training, "
        "like 3,9 (default: thirds of the recipe's, none in its warm-up); just the last trains "
        "every network fully",
    )
    how.add_argument(
        "--sampler",
        default=samplers.DEFAULT,
        help=f"what proposes networks: {', '.join(samplers.SAMPLERS)} (default: %(default)s; gp "
        "takes about a second a proposal in the space mixed)",
    )
    how.add_argument("--seed", type=_seed, default=0, metavar="N", help="default: %(default)s")
    where = parser.add_argument_group("where")
    where.add_argument(
        "--study", type=_name, metavar="NAME", help="default: made of space, data, recipe and seed"
    )
    add_storage_argument(where)
    where.add_argument(
        "--concurrency", type=positive, metavar="N", help="trials at a time (default: what fits)"
    )
    where.add_argument(
        "--cpus-per-trial", type=_share, metavar="X", help="cores a trial, like 0.5 (default: 1)"
    )
    where.add_argument(
        "--gpus-per-trial",
        type=_share,
        metavar="X",
        help="GPUs a trial, like 0.5 (default: 0.25 if there is one)",
    )
    where.add_argument(
        "--trial-timeout",
        type=positive,
        metavar="SECONDS",
        help="a trial that takes longer has failed (default: ten times what the first ones took)",
    )
    where.add_argument(
        "--start-timeout",
        type=positive,
        default=START_SECONDS,
        metavar="SECONDS",
        help="a worker that takes longer to start is ended; a search for which no worker starts so "
        "long ends (default: %(default)s)",
    )
    where.add_argument(
        "--address", metavar="HOST:PORT", help="an existing Ray cluster (default: this machine)"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="let Ray and Optuna say what they have to say"
    )
    return parser


def _limits(parser: Parser, given: argparse.Namespace) -> Limits:
    """What --max-… and --limit say."""
    limits = Limits(
        given.max_macs, given.max_params, given.max_activation_memory, given.max_latency
    )
    for text in ",".join(given.limit).split(",") if given.limit else ():
        name, equals, value = text.partition("=")
        if not equals:
            parser.error(f"argument --limit: {text!r} is not like params=200k")
        objective = objectives.OBJECTIVES.get(name.strip())
        limits = limits.at_most(objective, _amount(parser, "--limit", objective, value))
    return limits


def _amount(parser: Parser, option: str, objective: Objective, text: str) -> float:
    """A value of an objective in its unit."""
    try:
        return objective.read(text)
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument {option}: {error}")


def _target(parser: Parser, given: argparse.Namespace) -> float | None:
    """The target in the unit of the objective."""
    if given.target is None:
        return None
    objective = objectives.OBJECTIVES.get(given.objective)
    return _amount(parser, "--target", objective, given.target)


def _rungs(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and 0 < len(part) < 7 for part in parts):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text!r} is no list of epochs like 1,3,9")
    return tuple(map(int, parts))


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - fits 32 bits
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 999999999")
    return int(text)


def _name(text: str) -> str:
    if not (text.strip() == text and text.isprintable() and 0 < len(text) <= 200):  # noqa: PLR2004
        raise argparse.ArgumentTypeError("a study's name has 1 to 200 printable characters")
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1024:  # noqa: PLR2004 - more is a slip of the finger; also refuses nan
        raise argparse.ArgumentTypeError(f"{text!r} is no number of CPUs or GPUs like 1 or 0.25")
    return share
