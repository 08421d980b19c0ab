"""A table of times of one's own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from trainers.fast import algorithms, chains, table

Row = tuple[str, bool, str, str, str]
"""CPU, whether in bfloat16, operation, size and times, as table.csv has them."""
Write = Callable[..., None]

_CONVOLUTIONS = [
    f"{form} {kernel}x{kernel}/{stride}"
    for form, kernel, stride in itertools.product(
        ("dense", "grouped", "depthwise"), (1, 3, 5, 7), (1, 2, 3)
    )
]
_CHAINS = [f"chain of {count}" for count in (1, 2, 3, 4)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def write_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Has rows take the place of those in table.csv, until the test ends."""
    file = tmp_path / "table.csv"

    def forget() -> None:
        table.forget()
        algorithms.fastest.cache_clear()
        chains._fastest.cache_clear()

    def write(*rows: Row) -> None:
        lines = [
            ",".join(table.FIELDS),
            *(f"{cpu},{int(half)},{rest}" for cpu, half, rest in _joined(rows)),
        ]
        file.write_text("\n".join([*lines, ""]))
        monkeypatch.setattr("trainers.fast.table.FILE", file)
        forget()

    yield write
    forget()


@pytest.fixture
def favour(write_table: Write) -> Write:
    """Has the named algorithms be the fastest for all there is, the first of them before all."""

    def write(*names: str) -> None:
        times = " ".join(f"{name}={time}" for time, name in enumerate([*names, "torch"], 1))
        chain = " ".join(f"{name}={time}" for time, name in enumerate([*names, "parts"], 1))
        write_table(
            *(
                (table.cpu(half=half), half, operation, size, given)
                for half in (False, True)
                for operations, size, given in (
                    (_CONVOLUTIONS, "8 8 1 64 8", times),
                    (_CHAINS, "4 8 32 64 8", chain),
                )
                for operation in operations
            )
        )

    return write


def _joined(rows: tuple[Row, ...]) -> Iterator[tuple[str, bool, str]]:
    for cpu, half, *rest in rows:
        yield cpu, half, ",".join(rest)
