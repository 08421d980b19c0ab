"""C kernels for the CPU, compiled on first use by the machine's own compiler.

Nothing depends on them: where there is no compiler, no cache folder or ``CONVNAS_KERNELS=0``, what
they compute is computed by torch, only slower.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_FLAGS = ("-O2", "-march=native", "-fno-math-errno", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")
_PATIENCE = 120
"""Seconds that a compiler may take; it needs three."""


@cache
def library(name: str) -> ctypes.CDLL | None:
    """The compiled ``name.c`` of this folder, or None where it cannot be had.

    It is kept in the user's cache folder under a name that says what it was made of, so a process
    after the first only loads it. Any number of processes may do this at once.
    """
    if os.environ.get("CONVNAS_KERNELS") == "0":
        return None
    try:
        return ctypes.CDLL(str(_compiled(Path(__file__).with_name(f"{name}.c"))))
    except (OSError, RuntimeError, subprocess.SubprocessError):
        # No compiler, one that fails, no home, a full disk: each is a reason to go on without.
        return None


def _compiled(source: Path) -> Path:
    compiler = _compiler()
    made = _folder() / f"{source.stem}-{_fingerprint(compiler, source)}.so"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        # In a folder of its own and then renamed: nobody sees half a library, the last one wins.
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            fresh = Path(scratch, made.name)
            _output(*compiler, *_FLAGS, "-o", str(fresh), str(source), "-lm")
            fresh.replace(made)
    return made


def _compiler() -> list[str]:
    chosen = shlex.split(os.environ.get("CC", ""))
    if chosen:
        return chosen
    found = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if found is None:
        raise FileNotFoundError("no C compiler")
    return [found]


def _folder() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification has relative ones ignored.
    return (root if root.is_absolute() else Path.home() / ".cache") / "convnas" / "kernels"


def _fingerprint(compiler: list[str], source: Path) -> str:
    # The predefined macros are the compiler's version and what it knows of this CPU.
    macros = _output(*compiler, *_FLAGS, "-dM", "-E", "-x", "c", os.devnull)
    headers = sorted(source.parent.glob("*.h"))
    texts = [part.read_bytes() for part in (source, *headers)]
    parts = (*texts, macros, " ".join(_FLAGS).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _output(*command: str) -> bytes:
    return subprocess.run(  # noqa: S603 - the machine's own compiler
        command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE
    ).stdout
