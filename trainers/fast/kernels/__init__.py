"""C kernels for the CPU, compiled on first use by the machine's own compiler.

Nothing depends on them. Where there is no compiler, no cache folder or ``CONVNAS_KERNELS=0``, torch
computes what they compute, only slower.
"""

import ctypes
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_FLAGS = ("-O2", "-march=native", "-fno-math-errno", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")
_PATIENCE_SECONDS = 60.0
"""Time that a compiler may take for a file; it needs three seconds."""
_GRUDGE_SECONDS = 3600.0
"""How long no process calls a compiler again after it hung."""


@cache
def library(name: str) -> ctypes.CDLL | None:
    """The compiled ``name.c`` of this folder, or None where it cannot be had.

    The library is cached under a name made from its sources and compiler. The first process
    compiles it, the others load it. A compiler that hangs costs one time-out in all: processes
    that wait see a marker and do not call it.
    """
    if os.environ.get("CONVNAS_KERNELS") == "0":
        return None
    try:
        return ctypes.CDLL(str(_compiled(Path(__file__).with_name(f"{name}.c"))))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError):
        # No compiler, one that fails, no home, a full disk: each is a reason to go on without.
        return None


def _compiled(source: Path) -> Path:
    compiler = _compiler()
    folder = _folder()
    hung = folder / f"hung-{_digest(' '.join(compiler).encode())}"
    with _alone(folder):
        if hung.exists() and time.time() - hung.stat().st_mtime < _GRUDGE_SECONDS:
            raise FileNotFoundError(f"the C compiler hung less than an hour ago: {hung}")
        try:
            made = folder / f"{source.stem}-{_fingerprint(compiler, source)}.so"
            if not made.exists():
                # Compiled elsewhere, then renamed: no process sees half a library.
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    fresh = Path(scratch, made.name)
                    _output(*compiler, *_FLAGS, "-o", str(fresh), str(source), "-lm")
                    with fresh.open("rb") as written:
                        os.fsync(written.fileno())  # half a file would crash who loads it
                    fresh.replace(made)
        except subprocess.TimeoutExpired:
            hung.touch()
            raise
    return made


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time compile. The lock ends with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        # A folder that cannot be written, or whose file system knows no locks, may still be read.
        yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


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
    # The XDG specification says to ignore relative paths.
    return (root if root.is_absolute() else Path.home() / ".cache") / "convnas" / "kernels"


def _fingerprint(compiler: list[str], source: Path) -> str:
    """What decides a library's content: sources, flags, compiler, and what it knows of the CPU."""
    # The predefined macros are the compiler's version and the CPU's instructions.
    macros = _output(*compiler, *_FLAGS, "-dM", "-E", "-x", "c", os.devnull)
    headers = sorted(source.parent.glob("*.h"))
    texts = [part.read_bytes() for part in (source, *headers)]
    return _digest(*texts, macros, " ".join(_FLAGS).encode())


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _output(*command: str) -> bytes:
    return subprocess.run(  # noqa: S603 - the machine's own compiler
        command,
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=_PATIENCE_SECONDS,
    ).stdout
