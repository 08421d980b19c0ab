"""A terminal for tests of what people see."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path


def seen(columns: int, module: str, *arguments: str, folder: Path) -> str:
    """What a module prints on a terminal so wide, without its colours; it must succeed."""
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    return shown(columns, [sys.executable, "-m", module, *arguments], folder, paths)


def shown(columns: int, command: list[str], folder: Path, variables: Mapping[str, str]) -> str:
    """What a command prints on a terminal so wide, without its colours; it must succeed."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", **variables}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, cwd=folder, env=environment
    ) as child:
        os.close(its)
        said = b""
        while piece := _read(ours):
            said += piece
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).replace("\r\n", "\n")
    assert child.returncode == 0, text
    return text


def _read(terminal: int) -> bytes:
    """More of it; nothing once the command has ended, which Linux calls an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
