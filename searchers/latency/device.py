"""A device of the user's own: a command measures networks on it."""

import math
import re
import shlex
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_space.costs.cost import Task
from nas_space.scratch import scratch
from nas_space.spaces.architecture import Architecture
from nas_space.waiting import Say
from searchers.latency.errors import LatencyError
from searchers.latency.exporting import export

MODEL = "{model}"
_RUNS_PER_NETWORK = 3
"""How often each network is measured, to know the spread."""
_TIMEOUT_SECONDS = 120.0
_LONGEST_SECONDS = 3600.0
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_ANSWER = re.compile(r"(\d+(?:\.\d*)?(?:e[-+]?\d+)?)\s*(s|ms|us|µs)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class LatencyDevice:
    """Measures networks by the user's command.

    Attributes:
        command: a shell-like line; ``{model}`` in it becomes the path of an ONNX file, whose input
            ``images`` is a batch (N, C, H, W), mostly of one. It prints the latency as its last
            line: a number of seconds, or with a unit, as ``3.2 ms``.
        timeout: seconds that it may take for one network.
    """

    command: str
    timeout: float = _TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        """Refuse a command that cannot work.

        Raises:
            LatencyError: a shell could not read it, or it has no {model}.
        """
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise LatencyError(f"--latency-command: {error}".rstrip(".")) from None
        if not any(MODEL in word for word in words):
            raise LatencyError(
                "--latency-command has no {model}, where the path of the network's ONNX file goes"
            )

    def measure(
        self, chosen: Sequence[Architecture], task: Task, batch: int, say: Say
    ) -> list[list[float]]:
        """For each network the quartiles of its seconds for a batch.

        Raises:
            LatencyError: the command fails, hangs, or prints no latency.
        """
        found = []
        with scratch("convnas-") as folder:
            for at, path in enumerate(export(chosen, task, batch, folder, say), 1):
                seconds = [self.seconds(path) for _ in range(_RUNS_PER_NETWORK)]
                found.append(statistics.quantiles(seconds, n=4, method="inclusive"))
                say(f"measured on the device: {at} of {len(chosen)} networks")
        return found

    def seconds(self, path: Path) -> float:
        """Seconds that the command measures for one network.

        Raises:
            LatencyError: it fails, hangs, or prints no latency.
        """
        words = [word.replace(MODEL, str(path)) for word in shlex.split(self.command)]
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LatencyError(
                f"--latency-command took longer than {self.timeout:g} s for one network"
            ) from None
        except (OSError, ValueError) as error:
            raise LatencyError(f"--latency-command cannot be run: {error}") from None
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or lines
            why = f": {said[-1][:200]}" if said else ""
            raise LatencyError(f"--latency-command ended with code {done.returncode}{why}")
        return latency(lines[-1] if lines else "")


def latency(text: str) -> float:
    """Read ``0.0032``, ``3.2 ms`` or ``3200us`` as seconds.

    Raises:
        LatencyError: the text is no time, or no network takes that long.
    """
    match = _ANSWER.fullmatch(text.strip())
    seconds = float(match[1]) * _UNITS[(match[2] or "").lower()] if match else math.nan
    if not 0 < seconds < _LONGEST_SECONDS:
        raise LatencyError(
            f"--latency-command printed {text.strip()[:80]!r} as its last line, which is no "
            "latency like 0.0032 (seconds) or 3.2 ms"
        )
    return seconds
