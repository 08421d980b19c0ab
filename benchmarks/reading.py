"""What reading a folder of images takes: memory beside the pixels, and time, twice in a new cache.

    uv run python -m benchmarks.reading PHOTOS --image-size 160

Memory is the most that the process had of its own, less what it had before it read anything. What
the system keeps of files is not counted: it gives that away.

    uv run python -m benchmarks.reading PHOTOS --image-size 160 --batches --seconds 20

trains a small network and makes batches alone, from memory and from the file, both at once, so that
what else the machine does is the same for both; then by torchvision with two workers of a
DataLoader. It prints images a second. With ``--limit 900M`` (as
root, control groups of version 1) the file is used by a process that has no more memory than that.
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nas_space.cli import Parser, positive, quantity, run
from trainers.data.registry import load
from trainers.data.splits import Dataset, Images, SearchData

_GROUP = Path("/sys/fs/cgroup/memory/convnas-reading")
_BATCH = 64
_READY = "ready\n"
_PAUSE_SECONDS = 0.01


def main() -> int:
    """Read it and say so."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="a folder with a sub-folder of images for each class")
    parser.add_argument("--image-size", type=positive)
    parser.add_argument("--batches", action="store_true", help="measure batches, not reading")
    parser.add_argument("--seconds", type=positive, default=20, help="of each (default: 20)")
    parser.add_argument("--rounds", type=positive, default=3, help="of all (default: 3)")
    parser.add_argument("--limit", type=quantity, help="bytes of memory where the file is used")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(_ONE[given.one](given)))
        return 0
    with tempfile.TemporaryDirectory(prefix="convnas-reading-", dir=os.environ.get("TMPDIR")) as at:
        os.environ["CONVNAS_IMAGES"] = at
        return _at_once(given) if given.batches else _reading(given)


def _reading(given: argparse.Namespace) -> int:
    for turn in ("first", "second"):
        told = _alone("read", given)
        print(
            f"{turn}: {told['count']:,} images, {told['pixels'] / 1e6:.0f} MB of pixels, "
            f"{told['seconds']:.1f} s, {told['cpu']:.1f} s of CPU, memory of its own "
            f"{told['taken'] / 1e6:.0f} MB, {told['taken'] / told['pixels']:.2f} times the pixels"
        )
    return 0


def _at_once(given: argparse.Namespace) -> int:
    _alone("read", given)
    for number in range(1, given.rounds + 1):
        with ExitStack() as group:
            limit = None if given.limit is None else group.enter_context(_limited(given.limit))
            running = {kind: _begun(kind, given, limit) for kind in ("file", "memory")}
            _forget(Path(os.environ["CONVNAS_IMAGES"]))
            for process in running.values():
                _go(process)
            told = {kind: _ended(process) for kind, process in running.items()}
        file, memory = told["file"], told["memory"]
        print(
            f"round {number}: {file['train'] / 1e6:.0f} MB of training images, "
            f"{file['free'] / 1e6:.0f} of memory free, {file['disk'] / 1e6:.0f} read from the disk"
        )
        _compare("file", file, memory)
        _compare("torchvision", _alone("torchvision", given), memory)
    return 0


def _compare(kind: str, found: dict[str, Any], memory: dict[str, Any]) -> None:
    for what in ("training", "batches"):
        rate, other = found[what], memory[what]
        print(
            f"  {what} from {kind}: {rate:,.0f} images a second, from memory {other:,.0f}: "
            f"{rate / other:.2f}",
            flush=True,
        )


def _alone(what: str, given: argparse.Namespace) -> dict[str, Any]:
    """What a process measures while no other does."""
    process = _begun(what, given)
    _go(process)
    return _ended(process)


def _begun(
    what: str, given: argparse.Namespace, limit: Path | None = None
) -> "subprocess.Popen[str]":
    """A process that is ready to measure, in a control group if one is given."""
    command = [sys.executable, "-m", "benchmarks.reading", given.images, "--one", what]
    command += ["--seconds", str(given.seconds)]
    command += ["--image-size", str(given.image_size)] if given.image_size else []
    if limit is not None and what == "file":
        command = ["sh", "-c", f'echo $$ > {limit}/cgroup.procs && exec "$@"', "sh", *command]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    while (line := process.stdout.readline()) != _READY:
        if not line:
            raise SystemExit(f"{what}: the process ended with {process.wait()}")
    return process


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.write(_READY)
    process.stdin.flush()


def _ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a process ended with {process.returncode}")
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told


@contextmanager
def _limited(limit: int) -> Iterator[Path]:
    """A control group with so much memory."""
    _GROUP.mkdir(exist_ok=True)
    (_GROUP / "memory.limit_in_bytes").write_text(str(limit))
    try:
        yield _GROUP
    finally:
        _GROUP.rmdir()


def _ready() -> None:
    """Begin when the others are ready, too."""
    print(_READY, end="", flush=True)
    sys.stdin.readline()


def _forget(folder: Path) -> None:
    """Drop files from memory, so that the process with a limit pays for what it reads."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read(given: argparse.Namespace) -> dict[str, Any]:
    _ready()
    before, began = _own_bytes(), time.perf_counter()
    with ThreadPoolExecutor(1) as thread:
        reading, peak = thread.submit(load, given.images, image_size=given.image_size), before
        while not reading.done():
            peak = max(peak, _own_bytes())
            time.sleep(_PAUSE_SECONDS)
    data = reading.result().search
    pixels = data.train.pixels.nbytes + data.val.pixels.nbytes
    used = os.times()
    return {
        "seconds": time.perf_counter() - began,
        "cpu": used.user + used.system + used.children_user + used.children_system,
        "taken": peak - before,
        "pixels": pixels,
        "count": len(data.train) + len(data.val),
    }


def _from_file(given: argparse.Namespace) -> dict[str, Any]:
    return _rates(given, load(given.images, image_size=given.image_size))


def _from_memory(given: argparse.Namespace) -> dict[str, Any]:
    dataset = load(given.images, image_size=given.image_size)
    data = dataset.search
    file = data.train.file
    if file is None:
        raise SystemExit("the images were not kept: is there room on the disk?")
    # Not by the map: what is mapped somewhere is not forgotten.
    pixels = np.fromfile(file.path, np.uint8, math.prod(file.shape), offset=file.offset)
    train = Images(pixels.reshape(file.shape), data.train.labels)
    return _rates(given, replace(dataset, search=replace(data, train=train)))


def _rates(given: argparse.Namespace, dataset: Dataset) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - not where only reading is measured

    from trainers.data.batches import Batches  # noqa: PLC0415
    from trainers.machine import free_memory  # noqa: PLC0415

    torch.set_num_threads(1)
    data, free = dataset.search, free_memory()
    batches = Batches(data.train, data, torch.device("cpu"), 0.125)
    chance = torch.Generator().manual_seed(0)
    endless = itertools.chain.from_iterable(batches.shuffled(_BATCH, chance) for _ in range(10**6))
    _ready()
    before = _disk_bytes()
    rates = _measured(given, data, endless)
    told = {"free": free, "train": data.train.pixels.nbytes, "disk": _disk_bytes() - before}
    return rates | told


def _torchvision(given: argparse.Namespace) -> dict[str, Any]:
    import torch  # noqa: PLC0415
    from torch.utils.data import DataLoader  # noqa: PLC0415
    from torchvision import datasets, transforms  # noqa: PLC0415

    data = load(given.images, image_size=given.image_size).search
    side = data.shape[1]
    steps = [transforms.Resize(side), transforms.CenterCrop(side)]
    steps += [transforms.RandomCrop(side, padding=round(side * 0.125))]
    steps += [transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    steps += [transforms.Normalize(data.mean, data.std)]
    files = datasets.ImageFolder(given.images, transforms.Compose(steps))
    loader = DataLoader(files, _BATCH, shuffle=True, drop_last=True, num_workers=2)
    torch.set_num_threads(1)
    _ready()
    endless = itertools.chain.from_iterable(loader for _ in range(10**6))
    return _measured(given, data, endless)


def _measured(
    given: argparse.Namespace, data: SearchData, batches: Iterator[Any]
) -> dict[str, Any]:
    from torch import nn, optim  # noqa: PLC0415

    network = nn.Sequential(
        nn.Conv2d(data.shape[0], 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, len(data.classes)),
    )
    descent = optim.SGD(network.parameters(), lr=0.01)

    def train(images: Any, labels: Any) -> None:  # noqa: ANN401 - tensors
        descent.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        descent.step()

    return {
        "training": _rate(given.seconds, batches, train),
        "batches": _rate(given.seconds, batches, lambda *_: None),
    }


def _rate(seconds: float, batches: Iterator[Any], use: Any) -> float:  # noqa: ANN401
    use(*next(batches))  # what starts only now is no speed
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        use(*next(batches))
        done += _BATCH
    return done / (time.perf_counter() - began)


def _disk_bytes() -> int:
    """What this process had read from a disk."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes:"))


def _own_bytes() -> int:
    """The memory of this process that is not of files."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


_ONE = {
    "read": _read,
    "memory": _from_memory,
    "file": _from_file,
    "torchvision": _torchvision,
}


if __name__ == "__main__":
    raise SystemExit(main())
