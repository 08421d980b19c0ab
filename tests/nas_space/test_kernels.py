"""The loader of C kernels: it compiles once a machine, and is silent where it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nas_space import kernels

ROOT = Path(__file__).parents[2]
TRAINS = """
import torch
from nas_space.norm import NormAct
torch.set_num_threads(1)
x = torch.randn(4, 8, 5, 5).contiguous(memory_format=torch.channels_last)
y = NormAct(8)(x)
y.sum().backward()
print(type(y.grad_fn).__name__)
"""
FUSED, PLAIN = "NormActFunctionBackward", "ReluBackward0"

compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler"
)


def start(cache: Path, **environment: str) -> subprocess.Popen[str]:
    """A process that trains one module, with a cache of its own; it prints the way it took."""
    kept = {
        key: os.environ[key] for key in ("PATH", "HOME", "LD_LIBRARY_PATH") if key in os.environ
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", TRAINS],
        cwd=ROOT,
        env=kept | {"XDG_CACHE_HOME": str(cache)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def way(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err == ""
    return out.strip()


@compiler
def test_the_first_process_compiles_and_the_next_only_loads(tmp_path: Path) -> None:
    assert way(start(tmp_path)) == FUSED
    (made,) = (tmp_path / "convnas" / "kernels").iterdir()
    written = made.stat().st_mtime_ns
    assert way(start(tmp_path)) == FUSED
    assert made.stat().st_mtime_ns == written


@compiler
def test_processes_that_start_together_all_get_it(tmp_path: Path) -> None:
    assert [way(process) for process in [start(tmp_path), start(tmp_path)]] == [FUSED] * 2
    (made,) = (tmp_path / "convnas" / "kernels").iterdir()
    assert made.suffix == ".so"


def test_without_a_compiler_torch_computes(tmp_path: Path) -> None:
    assert way(start(tmp_path, PATH="")) == PLAIN
    assert not any(tmp_path.iterdir())


def test_a_variable_turns_the_kernels_off(tmp_path: Path) -> None:
    assert way(start(tmp_path, CONVNAS_KERNELS="0")) == PLAIN
    assert not any(tmp_path.iterdir())


@compiler
def test_the_compiler_that_cc_names_is_taken(tmp_path: Path) -> None:
    failing = tmp_path / "compiler"
    failing.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    failing.chmod(0o755)
    assert way(start(tmp_path / "cache", CC=str(failing))) == PLAIN
    assert way(start(tmp_path / "cache", CC="gcc -g" if shutil.which("gcc") else "cc -g")) == FUSED


@compiler
def test_a_compiler_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    # It answers what it is, as the real one would, and then cannot compile.
    failing = tmp_path / "compiler"
    failing.write_text('#!/bin/sh\ncase "$*" in *-dM*) exit 0;; esac\nexit 1\n')
    failing.chmod(0o755)
    cache = tmp_path / "cache"
    assert way(start(cache, CC=str(failing))) == PLAIN
    assert not any((cache / "convnas" / "kernels").iterdir())


def test_a_cache_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    assert way(start(occupied)) == PLAIN


@compiler
def test_a_damaged_library_is_no_error(tmp_path: Path) -> None:
    way(start(tmp_path))
    (made,) = (tmp_path / "convnas" / "kernels").iterdir()
    made.write_bytes(b"not a library")
    assert way(start(tmp_path)) == PLAIN


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
