"""What a refused command says, and commands called as a shell would call them."""

import itertools
import sys
from collections.abc import Callable

import pytest

from searchers.terminal.command import command

Command = Callable[[], int]

SEARCH = ("--space", "mixed", "--budget", "2")


def refusal(run: Command, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refused command prints, on standard error and with exit code 2."""
    try:
        code = run()
    except SystemExit as stopped:
        code = int(str(stopped.code))
    printed = capsys.readouterr()
    assert code == 2, printed
    said = after_waiting(printed.err)
    assert said.startswith("error: ")
    assert said.count("\n") == 1, printed.err
    assert said.rstrip("\n").isprintable(), printed.err
    assert "Traceback" not in printed.err
    return said


def after_waiting(err: str) -> str:
    """Standard error without what stands first on a busy machine: what the command waited for."""
    lines = err.splitlines(keepends=True)
    return "".join(itertools.dropwhile(lambda line: line.endswith(" …\n"), lines))


def search(*arguments: str) -> Command:
    """The main job; it starts Ray only once the arguments and the images have been read."""
    return lambda: command([*SEARCH, *arguments])


def called(main: Command, *arguments: str) -> Command:
    """Any other command."""

    def run() -> int:
        before, sys.argv = sys.argv, ["command", *arguments]
        try:
            return main()
        finally:
            sys.argv = before

    return run
