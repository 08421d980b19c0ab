"""C kernels for the CPU, compiled on first use by the machine's own compiler.

Nothing depends on them. Where there is no compiler, no cache folder or ``CONVNAS_KERNELS=0``, torch
computes what they compute, only slower.
"""

import ctypes
import fcntl
import hashlib
import math
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
_STEP_SECONDS = 0.5
_GRUDGE_SECONDS = 3600.0
"""How long no process calls a compiler again after it hung, or for a file that it failed on.

Headers may be installed later, and what kills a compiler may end: neither changes the key.
"""


@cache
def library(name: str) -> ctypes.CDLL | None:
    """The compiled ``name.c`` of this folder, or None where it cannot be had.

    The library is cached under a name made from its sources and compiler. The first process
    compiles it, the others load it. A compiler that hangs costs one time-out, and a file that it
    cannot compile one attempt: they leave a marker, and for an hour no process tries again.
    """
    if os.environ.get("CONVNAS_KERNELS") == "0":
        return None
    try:
        return ctypes.CDLL(str(_compiled(Path(__file__).with_name(f"{name}.c"))))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError):
        # No compiler, one that fails, no home, a full disk: each is a reason to go on without.
        return None


def _compiled(source: Path) -> Path:
    compiler, folder = _compiler(), _folder()
    key = None
    # Where nothing has been compiled yet the compiler may hang, so one process at a time asks it.
    if any(folder.glob(f"{source.stem}-*.so")):
        key = _key(compiler, source)
        if made := _whole(key):
            return made
    with _alone(folder):
        key = key or _key(compiler, source)
        return _whole(key) or _compile(compiler, source, key)


def _whole(key: str) -> Path | None:
    """The library whose content has the digest in its name: half a one would crash who loads it."""
    return next(
        (
            made
            for made in _folder().glob(f"{key}-*.so")
            if made.stem == f"{key}-{_digest(made.read_bytes())}"
        ),
        None,
    )


def _compile(compiler: list[str], source: Path, key: str) -> Path:
    folder = _folder()
    failed = folder / f"{key}.failed"
    _refuse(failed)
    # Compiled elsewhere, then renamed: no process sees half a library.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch, "library.so")
        try:
            _output(compiler, "-o", str(fresh), str(source), "-lm")
        except subprocess.CalledProcessError as error:
            failed.write_bytes(error.stderr)
            raise
        return fresh.replace(folder / f"{key}-{_digest(fresh.read_bytes())}.so")


def _refuse(marker: Path) -> None:
    if marker.exists() and time.time() - marker.stat().st_mtime < _GRUDGE_SECONDS:
        raise FileNotFoundError(f"the C compiler failed or hung less than an hour ago: {marker}")


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


def _key(compiler: list[str], source: Path) -> str:
    """What decides a library's content: sources, flags, compiler, and what it knows of the CPU."""
    # The predefined macros are the compiler's version and the CPU's instructions.
    macros = _output(compiler, "-dM", "-E", "-x", "c", os.devnull)
    headers = sorted(source.parent.glob("*.h"))
    texts = [part.read_bytes() for part in (source, *headers)]
    return f"{source.stem}-{_digest(*texts, macros, ' '.join(_FLAGS).encode())}"


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _output(compiler: list[str], *arguments: str) -> bytes:
    """What the compiler prints."""
    hung = _folder() / f"hung-{_digest(' '.join(compiler).encode())}"
    _refuse(hung)
    command = [*compiler, *_FLAGS, *arguments]
    with subprocess.Popen(  # noqa: S603 - the machine's own compiler
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        try:
            out, err = _waited_for(running)
        except subprocess.TimeoutExpired:
            running.kill()
            hung.touch()
            raise
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command, out, err)
    return out


def _waited_for(running: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """What a process prints.

    Time in which this process was stopped, too, does not count: a laptop that was asleep would have
    no kernels for an hour.

    Raises:
        subprocess.TimeoutExpired: it takes too long.
    """
    left = math.ceil(_PATIENCE_SECONDS / _STEP_SECONDS)
    while True:
        try:
            return running.communicate(timeout=_STEP_SECONDS)
        except subprocess.TimeoutExpired:
            left -= 1
            if left <= 0:
                raise
