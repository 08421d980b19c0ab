"""The commands of convnas by name, and how a user types them.

Each is a module for ``python -m``, a word behind ``convnas``, and a script ``convnas-WORD``. What
one command says about another is spelt the way it was started itself.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_space.masking import masked

NAME = "convnas"


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Attributes:
        name: the word behind ``convnas``.
        module: for ``python -m``.
        entry: the module that has its ``main``.
        purpose: what it does, in a few words.
    """

    name: str
    module: str
    entry: str
    purpose: str


COMMANDS = tuple(
    Command(name, module, entry or module, purpose)
    for name, module, entry, purpose in (
        ("search", "searchers.run", "", "find the networks that trade accuracy against cost best"),
        ("report", "studies.report", "studies.report.command", "a page of what was found"),
        ("export", "studies.export", "studies.export.command", "a network, ready to be used"),
        ("list", "studies.list", "", "the studies in a database"),
        ("pareto", "studies.pareto", "studies.pareto.command", "the front as a table or a file"),
        ("show", "studies.show", "", "one network, layer by layer"),
        ("finalists", "studies.finalists", "", "train the front again, with fresh seeds"),
        ("dashboard", "studies.dashboard", "", "watch a search in the browser"),
        ("predict", "studies.predict", "", "classify images with an exported network"),
        ("train", "trainers.run", "", "train one network"),
        ("convert", "nas_space.convert", "", "replace the convolutions of a network you have"),
        ("networks", "nas_space.networks", "", "the networks of the papers"),
        ("spaces", "nas_space.spaces", "nas_space.spaces.__main__", "what can be searched"),
        ("devices", "nas_space.devices", "nas_space.devices.__main__", "where networks can run"),
        ("scores", "studies.scores", "", "how well networks are ranked without training"),
        ("rescue", "studies.rescue", "", "save what can be read of a damaged database"),
    )
)


def program(module: str) -> str:
    """How a user types the command of a module here: ``convnas export``, for example."""
    name = next(command.name for command in COMMANDS if command.module == module)
    started = Path(sys.argv[0]).name if sys.argv else ""
    if started == NAME:
        return f"{NAME} {name}"
    return f"{NAME}-{name}" if started.startswith(f"{NAME}-") else f"python -m {module}"


def runner() -> str:
    """What a user who runs convnas through uv types before a command."""
    return "uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""


def spoken(module: str, argv: Sequence[str]) -> str:
    """A command line for the record and for the user, without a password."""
    # A path may contain bytes that are not text; databases accept only text.
    words = [masked(word).encode(errors="backslashreplace").decode() for word in argv]
    return f"{runner()}{program(module)} {shlex.join(words)}".rstrip()
