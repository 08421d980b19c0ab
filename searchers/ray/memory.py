"""Whether memory ran out when a worker died: what Ray says, and what the kernel counts."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from searchers.schedule.failures import WORKER_DIED

_RAYS_WORDS = "running low on memory"
_USED = re.compile(r"([\d.]+[KMGT]?B) used / ([\d.]+[KMGT]?B) limit")
_REMEDY = "run fewer trials at a time (--concurrency), or allow less (--max-activation-memory)"


def _kills() -> int:
    """How many processes this machine's kernel has killed for want of memory; 0 if unknown."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


@dataclass(slots=True)
class MemoryWatch:
    """Adds to the reason of a worker's death that memory had run out, where that can be known.

    The kernel's kills are known of this machine alone, and it does not say whom it killed: if it
    has killed anybody since the last death, that was the cause.
    """

    _known: int = field(default_factory=_kills)

    def explained(self, reason: str) -> str:
        """The reason, with its cause and what helps.

        Args:
            reason: of a failure, its kind before a colon.
        """
        if not reason.startswith(WORKER_DIED):
            return reason
        before, self._known = self._known, _kills()
        if _RAYS_WORDS in reason:
            used = _USED.search(reason)
            how = f" ({used[1]} of {used[2]} in use)" if used else ""
            return f"{WORKER_DIED}: memory ran out{how}, and Ray ended it; {_REMEDY}"
        if self._known > before:
            return f"{WORKER_DIED}: memory ran out, and the kernel killed it; {_REMEDY}"
        return reason
