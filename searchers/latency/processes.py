"""Runs modules that need torch as separate processes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nas_space.waiting import Say
from searchers.latency.errors import LatencyError


def run_ours(module: str, arguments: Sequence[Path], what: str, say: Say) -> None:
    """Run one of our modules as a process, and report its progress.

    Raises:
        LatencyError: it failed; the message has its last line.
    """
    # It imports our packages from where this process did.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as complaints:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        with subprocess.Popen(  # noqa: S603 - our own module
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            try:
                for line in process.stdout:
                    done, _, total = line.strip().partition(" ")
                    # A library may print as well.
                    if done.isdigit() and total.isdigit():
                        say(f"{what}: {done} of {total}")
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            complaints.seek(0)
            last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
            raise LatencyError(f"latencies could not be measured: {''.join(last) or 'killed'}")
