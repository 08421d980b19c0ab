"""How a latency is taken."""

from dataclasses import dataclass

from studies.runtimes import DEFAULT_RUNTIME


@dataclass(frozen=True, slots=True)
class Timing:
    """What of the user's choice changes a latency.

    Attributes:
        runtime: that runs the networks, a name of `studies.runtimes.RUNTIMES`.
        threads: that it computes with; None leaves that to the runtime.
        batch: images at a time.
    """

    runtime: str = DEFAULT_RUNTIME
    threads: int | None = None
    batch: int = 1
