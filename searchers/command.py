"""The command line of a search: options, the lines around the progress, the result."""

import argparse
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import optuna

from nas_space.cli import INTERRUPTED, Parser, console
from nas_space.spaces import spaces
from searchers import samplers
from searchers.progress import Progress
from searchers.proposals import ImpossibleLimitError, Limits
from searchers.samplers import UnknownSamplerError
from searchers.scheduling import INTERRUPT, ClusterError, Wishes
from searchers.search import Finding, Settings, Start, search
from studies.cli import add_storage_argument, positive, quantity, run
from studies.front import front
from studies.pareto import table
from studies.store import DEFAULT_URL, parse_url
from trainers.datasets import names
from trainers.recipes import recipes

_EXAMPLES = """\
examples:
  python -m searchers.run --space mixed --budget 200
      the default: handwritten digits that come with the install
  python -m searchers.run --space mixed --budget 100 --dataset ~/photos --max-macs 20M
      your own images: a folder with a sub-folder for each class
  python -m searchers.run --space igc --budget 50 --dataset cifar10 --subset 5000 --epochs 3
      a quick look at one type of convolution on a part of CIFAR-10

The same command goes on where it was stopped. MACs are multiply-adds per image, which the papers
call FLOPs.
"""


def command(argv: Sequence[str]) -> int:
    """Parse the arguments and run the search; the exit code."""
    return run(lambda: _command(argv), ClusterError, ImpossibleLimitError, UnknownSamplerError)


def _command(argv: Sequence[str]) -> int:
    settings = _settings(argv)
    if not settings.verbose:
        _hush()
    with Progress() as progress:
        try:
            finding = search(settings, _announce, progress.show)
        except KeyboardInterrupt:
            finding = None
    if finding is None:
        print(f"\nstopped; go on with: {settings.command}")  # noqa: T201
        return INTERRUPTED
    return _conclude(settings, finding)


def _settings(argv: Sequence[str]) -> Settings:
    given = _parser().parse_args(argv)
    return Settings(
        space=given.space,
        budget=given.budget,
        dataset=given.dataset,
        image_size=given.image_size,
        subset=given.subset,
        flip=not given.no_flip,
        data_dir=given.data_dir,
        recipe=given.recipe,
        epochs=given.epochs,
        sampler=given.sampler,
        seed=given.seed,
        study=given.study,
        storage=given.storage,
        limits=Limits(given.max_macs, given.max_params),
        wishes=Wishes(given.address, given.concurrency, given.cpus_per_trial, given.gpus_per_trial),
        verbose=given.verbose,
        command=_spoken(argv, given.storage),
    )


def _spoken(argv: Sequence[str], storage: str) -> str:
    """The command line as it is recorded and repeated to the user: without a password."""
    shown = parse_url(storage).render_as_string(hide_password=True)
    words = [word.replace(storage, shown) for word in argv]
    return f"{_runner()}python -m searchers.run {shlex.join(words)}"


def _runner() -> str:
    """What a user who started us through uv has to type before a command."""
    return "uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m searchers.run",
        description="Search the networks that trade validation accuracy against MACs best: which "
        "convolution belongs in which layer?",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to search")
    what.add_argument(
        "--space", required=True, help=f"the networks to choose from: {', '.join(spaces())}"
    )
    what.add_argument(
        "--budget", required=True, type=positive, metavar="N", help="evaluations to finish"
    )
    what.add_argument("--max-macs", type=quantity, metavar="N", help="most MACs per image, like 5M")
    what.add_argument("--max-params", type=quantity, metavar="N", help="most parameters, like 200k")
    data = parser.add_argument_group("on which images")
    data.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|PATH",
        help=f"{', '.join(names())}, or a folder with a sub-folder of images for each class, with "
        "or without train, val and test folders above them (default: %(default)s)",
    )
    data.add_argument(
        "--image-size",
        type=positive,
        metavar="N",
        help="resize a folder's images to N×N pixels (default: at most 64)",
    )
    data.add_argument(
        "--subset", type=positive, metavar="N", help="train on N of the images, to look quickly"
    )
    data.add_argument(
        "--no-flip", action="store_true", help="train on no mirror images, as of letters or signs"
    )
    data.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keeps downloads (default: ~/.cache/convnas)"
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--recipe",
        default="quick",
        help=f"how each network is trained: {', '.join(recipes())} (default: %(default)s)",
    )
    how.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help="passes over the images, instead of the recipe's",
    )
    how.add_argument(
        "--sampler",
        default=samplers.DEFAULT,
        help=f"what proposes networks: {', '.join(samplers.names())} (default: %(default)s; gp "
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
        "--address", metavar="HOST:PORT", help="an existing Ray cluster (default: this machine)"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="let Ray and Optuna say what they have to say"
    )
    return parser


def _announce(start: Start) -> None:
    data, recipe = start.dataset.search, start.recipe
    size = "×".join(map(str, data.shape))
    resized = f" (resized to {start.dataset.image_size})" * bool(start.dataset.image_size)
    done = f", {start.done_before} done" * bool(start.done_before)
    gpus = f" and {start.resources.gpus:g} GPU" * bool(start.resources.gpus)
    lines = {
        "space": f"{start.space.name}: {start.space.size():.1e} architectures of "
        f"{', '.join(start.space.kinds)}",
        "data": f"{data.name}: {len(data.train):,} training and {len(data.val):,} validation "
        f"images of {size}{resized}, {len(data.classes)} classes",
        "recipe": f"{recipe.name}, {recipe.epochs} epochs",
        "study": f"{start.study.name}{done}",
        "workers": f"{start.resources.concurrency} at a time, "
        f"{start.resources.cpus:g} CPU{gpus} each",
    }
    for name, line in lines.items():
        print(f"{name:8} {line}", flush=True)  # noqa: T201


def _conclude(settings: Settings, finding: Finding) -> int:
    end, store = finding.end, finding.store
    members = front(store.evaluations(finding.study))
    failed = f", {end.failed} failed" if end.failed else ""
    if members:
        console().print(table(members))
    print(f"{end.finished} evaluations{failed} in study {finding.study.name} of {store.shown_url}")  # noqa: T201
    if members:
        print("\nnext:\n" + "\n".join(f"  {_runner()}{step}" for step in _next_steps(finding)))  # noqa: T201
    if finding.trouble is not None:
        _say(f"optuna-dashboard does not show everything yet ({finding.trouble})")
    if finding.over_because is None:
        return 0
    _say(f"ended before its budget of {end.budget}: {finding.over_because}")
    if finding.over_because != INTERRUPT:
        return 1
    _say(f"go on with: {settings.command}")
    return INTERRUPTED


def _next_steps(finding: Finding) -> list[str]:
    url = shlex.quote(finding.store.shown_url)
    where = "" if finding.store.shown_url == DEFAULT_URL else f" --storage {url}"
    study = f"--study {shlex.quote(finding.study.name)}{where}"
    return [
        f"optuna-dashboard {url}",
        f"python -m studies.pareto {study}",
        f"python -m studies.export {study} --knee --retrain --output exported",
    ]


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def _hush() -> None:
    """Silence the libraries: what matters of their messages is said by us."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"ray(\\..*)?|optuna(\\..*)?")
    logging.getLogger("ray").setLevel(logging.CRITICAL)


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
