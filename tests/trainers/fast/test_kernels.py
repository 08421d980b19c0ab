"""The loader of C kernels: it compiles once a machine, and is silent where it cannot."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from trainers.fast import kernels

ROOT = Path(__file__).parents[3]
TRAINS = """
import torch
from torch import nn
from trainers.fast import for_training
torch.set_num_threads(1)
x = torch.randn(4, 8, 5, 5).contiguous(memory_format=torch.channels_last)
y = for_training(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()))(x)
y.sum().backward()
print(type(y.grad_fn).__name__)
"""
WAITS = """
import time
from trainers.fast import kernels
kernels._PATIENCE_SECONDS = 1.0
start = time.perf_counter()
found = [kernels.library(name) for name in ("norm", "octave", "mixing", "direct")]
print(found, int(time.perf_counter() - start))
"""
PATIENT = """
from trainers.fast import kernels
kernels._PATIENCE_SECONDS = 20.0
"""
FUSED, PLAIN = "NormActFunctionBackward", "ReluBackward0"

compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler"
)


def start(cache: Path, program: str = TRAINS, **environment: str) -> subprocess.Popen[str]:
    """A process that trains one module, with a cache of its own; it prints the way it took."""
    kept = {
        key: os.environ[key] for key in ("PATH", "HOME", "LD_LIBRARY_PATH") if key in os.environ
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        env=kept | {"XDG_CACHE_HOME": str(cache)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err == ""
    return out.strip()


def an_hour_ago(marker: Path) -> None:
    """Let a marker be of that time."""
    then = time.time() - 3600 - 1
    os.utime(marker, (then, then))


def script(path: Path, text: str) -> str:
    """A program of the shell."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
@compiler
def test_the_first_process_compiles_and_the_next_only_loads(tmp_path: Path) -> None:
    assert printed(start(tmp_path)) == FUSED
    (made,) = (tmp_path / "convnas" / "kernels").iterdir()
    written = made.stat().st_mtime_ns
    assert printed(start(tmp_path)) == FUSED
    assert made.stat().st_mtime_ns == written


@pytest.mark.slow
@compiler
def test_processes_that_start_together_all_get_it(tmp_path: Path) -> None:
    assert [printed(process) for process in [start(tmp_path), start(tmp_path)]] == [FUSED] * 2
    (made,) = (tmp_path / "convnas" / "kernels").iterdir()
    assert made.suffix == ".so"


def test_without_a_compiler_torch_computes(tmp_path: Path) -> None:
    assert printed(start(tmp_path, PATH="")) == PLAIN
    assert not any(tmp_path.iterdir())


def test_a_variable_turns_the_kernels_off(tmp_path: Path) -> None:
    assert printed(start(tmp_path, CONVNAS_KERNELS="0")) == PLAIN
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@compiler
def test_the_compiler_that_cc_names_is_taken(tmp_path: Path) -> None:
    failing = script(tmp_path / "compiler", "echo no >&2\nexit 1")
    assert printed(start(tmp_path / "cache", CC=failing)) == PLAIN
    real = "gcc -g" if shutil.which("gcc") else "cc -g"
    assert printed(start(tmp_path / "cache", CC=real)) == FUSED


@compiler
def test_a_compiler_that_fails_leaves_only_what_it_said(tmp_path: Path) -> None:
    # It answers what it is, as the real one would, and then cannot compile.
    failing = script(
        tmp_path / "compiler", 'case "$*" in *-dM*) exit 0;; esac\necho no >&2\nexit 1'
    )
    cache = tmp_path / "cache"
    assert printed(start(cache, CC=failing)) == PLAIN
    (marker,) = (cache / "convnas" / "kernels").iterdir()
    assert marker.suffix == ".failed"
    assert marker.read_text() == "no\n"


def hanging(folder: Path, *, knows_itself: bool) -> tuple[str, Path]:
    """A compiler that does not end, and the file where it notes each call that hung."""
    calls = folder / "calls"
    answer = 'case "$*" in *-dM*) exit 0;; esac\n' if knows_itself else ""
    return script(folder / "compiler", f"{answer}echo >> {calls}\nexec sleep 60"), calls


@pytest.mark.parametrize("knows_itself", [False, True])
def test_a_compiler_that_hangs_costs_one_time_out(tmp_path: Path, *, knows_itself: bool) -> None:
    compiler, calls = hanging(tmp_path, knows_itself=knows_itself)
    cache = tmp_path / "cache"
    assert printed(start(cache, WAITS, CC=compiler)) == f"{[None] * 4} 1"
    (marker,) = (cache / "convnas" / "kernels").iterdir()
    assert marker.name.startswith("hung-")
    assert printed(start(cache, WAITS, CC=compiler)) == f"{[None] * 4} 0"
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.slow
@compiler
def test_while_all_is_stopped_the_compiler_does_not_hang(tmp_path: Path) -> None:
    real = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    begun = tmp_path / "begun"
    slow = script(tmp_path / "compiler", f'echo >> {begun}\nsleep 1\nexec {real} "$@"')
    patient = TRAINS.replace("import torch\n", f"import torch\n{PATIENT}", 1)
    process = start(tmp_path / "cache", patient, CC=slow)
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.05)
    # As a laptop does that is closed.
    found = psutil.Process(process.pid)
    both = [found, *found.children(recursive=True)]
    assert len(both) > 1, "the compiler runs"
    for one in both:
        one.suspend()
    time.sleep(21)
    for one in both:
        one.resume()
    assert printed(process) == FUSED
    assert not list((tmp_path / "cache").rglob("hung-*"))


def test_processes_that_start_together_wait_for_it_once(tmp_path: Path) -> None:
    compiler, calls = hanging(tmp_path, knows_itself=False)
    for process in [start(tmp_path / "cache", WAITS, CC=compiler) for _ in range(2)]:
        assert printed(process).startswith(str([None] * 4))
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.slow
@compiler
def test_another_compiler_is_asked_and_after_an_hour_the_same_one_again(tmp_path: Path) -> None:
    hangs, calls = hanging(tmp_path, knows_itself=False)
    cache = tmp_path / "cache"
    printed(start(cache, WAITS, CC=hangs))
    assert printed(start(cache)) == FUSED
    (marker,) = (cache / "convnas" / "kernels").glob("hung-*")
    an_hour_ago(marker)
    assert printed(start(cache, WAITS, CC=hangs)) == f"{[None] * 4} 1"
    assert len(calls.read_text().splitlines()) == 2


def test_a_cache_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    assert printed(start(occupied)) == PLAIN


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small C file, and an empty cache for what is made of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    path = tmp_path / "one.c"
    path.write_text("int one(void) { return 1; }\n")
    return path


@compiler
def test_half_a_library_is_not_loaded_but_compiled_again(source: Path) -> None:
    made = kernels._compiled(source)
    whole = made.read_bytes()
    # Whoever loaded this would be killed by a bus error.
    made.write_bytes(whole[: len(whole) // 2])
    assert ctypes.CDLL(str(kernels._compiled(source))).one() == 1
    assert kernels._compiled(source).read_bytes() == whole


@compiler
@pytest.mark.timeout(60)
def test_a_library_that_is_there_is_had_while_another_process_compiles(source: Path) -> None:
    made = kernels._compiled(source)
    with kernels._alone(kernels._folder()):
        assert kernels._compiled(source) == made


@compiler
def test_a_file_that_the_compiler_fails_on_costs_one_attempt(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    calls, broken = tmp_path / "calls", tmp_path / "broken"
    monkeypatch.setenv(
        "CC",
        script(
            tmp_path / "compiler",
            f'case "$*" in *-dM*) ;; *) echo >> {calls}; [ -e {broken} ] && exit 1;; esac\n'
            f'exec {real} "$@" $(cat {tmp_path}/version)',
        ),
    )
    version = tmp_path / "version"
    version.touch()
    broken.touch()

    def attempts() -> int:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            kernels._compiled(source)
        return len(calls.read_text().splitlines())

    assert [attempts(), attempts()] == [1, 1]
    # Another source, then another compiler under the same name.
    source.write_text("int one(void) { return 2; }\n")
    assert [attempts(), attempts()] == [2, 2]
    version.write_text("-DVERSION=2")
    assert [attempts(), attempts()] == [3, 3]
    # What it lacked may have been installed since.
    broken.unlink()
    assert attempts() == 3
    for marker in kernels._folder().glob("*.failed"):
        an_hour_ago(marker)
    assert [attempts(), attempts()] == [4, 4]
    assert ctypes.CDLL(str(kernels._compiled(source))).one() == 2


@compiler
def test_another_source_or_header_is_another_library(source: Path) -> None:
    header = source.with_suffix(".h")
    source.write_text('#include "one.h"\nint one(void) { return ONE; }\n')
    made = []
    for text, number in ((source.read_text(), 1), (source.read_text(), 2), ("int two;\n", 2)):
        source.write_text(text)
        header.write_text(f"#define ONE {number}\n")
        made += [kernels._compiled(source), kernels._compiled(source)]
    assert made[0] == made[1] != made[2] == made[3] != made[4] == made[5]
    assert len(set(made)) == 3
    assert all(path.exists() for path in made)


@compiler
def test_a_relative_cache_folder_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernels._folder() == tmp_path / ".cache" / "convnas" / "kernels"
