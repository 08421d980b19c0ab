"""The loader of C kernels: it compiles once a machine, and is silent where it cannot."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

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
def test_a_compiler_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    # It answers what it is, as the real one would, and then cannot compile.
    failing = script(tmp_path / "compiler", 'case "$*" in *-dM*) exit 0;; esac\nexit 1')
    cache = tmp_path / "cache"
    assert printed(start(cache, CC=failing)) == PLAIN
    assert not any((cache / "convnas" / "kernels").iterdir())


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


def test_processes_that_start_together_wait_for_it_once(tmp_path: Path) -> None:
    compiler, calls = hanging(tmp_path, knows_itself=False)
    for process in [start(tmp_path / "cache", WAITS, CC=compiler) for _ in range(2)]:
        assert printed(process).startswith(str([None] * 4))
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.slow
@compiler
def test_another_compiler_is_asked_and_after_a_day_the_same_one_again(tmp_path: Path) -> None:
    hangs, calls = hanging(tmp_path, knows_itself=False)
    cache = tmp_path / "cache"
    printed(start(cache, WAITS, CC=hangs))
    assert printed(start(cache)) == FUSED
    (marker,) = (cache / "convnas" / "kernels").glob("hung-*")
    day = time.time() - 24 * 3600 - 1
    os.utime(marker, (day, day))
    assert printed(start(cache, WAITS, CC=hangs)) == f"{[None] * 4} 1"
    assert len(calls.read_text().splitlines()) == 2


def test_a_cache_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    assert printed(start(occupied)) == PLAIN


@pytest.mark.slow
@compiler
def test_a_damaged_library_is_no_error(tmp_path: Path) -> None:
    printed(start(tmp_path))
    (made,) = (tmp_path / "convnas" / "kernels").iterdir()
    made.write_bytes(b"not a library")
    assert printed(start(tmp_path)) == PLAIN


@compiler
def test_another_source_or_header_is_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    source, header = tmp_path / "one.c", tmp_path / "one.h"
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
