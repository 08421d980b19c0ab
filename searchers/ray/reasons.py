"""Why Ray gave up a trial, in one line, from the text that it leaves."""

import re

from searchers.schedule.failures import WORKER_DIED

_MOST_CHARACTERS = 500
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Ray colours the names of its processes."""
_FRAME = re.compile(r'\s+File ".*", line \d+')
_RAISED = re.compile(r"[\w.]*(Error|Exception)\b")
"""The line of an error, where there is no traceback."""


def reason_in(text: str) -> str:
    """The line of the error that was raised last; if none was, Ray's own first line.

    A message may have many lines, as those of CUDA do. What was raised is in the first of them,
    right below the last frame of the traceback.
    """
    lines = [line.rstrip() for line in _ESCAPES.sub("", text).splitlines() if line.strip()]
    if not lines:
        return f"{WORKER_DIED}: no reason is known"
    frames = [at for at, line in enumerate(lines) if _FRAME.match(line)]
    below = lines[frames[-1] :] if frames else []
    raised = next((line for line in below if not line[0].isspace()), None)
    if raised is None and _RAISED.match(lines[-1]):
        raised = lines[-1]
    if raised is None:
        return f"{WORKER_DIED}: {lines[0].strip()}"[:_MOST_CHARACTERS]
    kind, colon, message = raised.partition(":")
    return f"{kind.rpartition('.')[2]}{colon}{message}"[:_MOST_CHARACTERS]
