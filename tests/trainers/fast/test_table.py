"""Which algorithm is chosen, by a table of times: laws, whatever the numbers in table.csv are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.fast.conftest import Row, Write
from trainers.fast import algorithms, chains, table
from trainers.fast.algorithms import ALGORITHMS, TORCH, fastest
from trainers.fast.kernels import mixing
from trainers.fast.kernels.convolution import Shape
from trainers.fast.kernels.winograd import KERNEL

compiled = pytest.mark.skipif(KERNEL.lanes is None, reason="no C compiler")


def shape(  # noqa: PLR0913
    *,
    c_in: int = 16,
    c_out: int = 16,
    groups: int = 1,
    side: int = 8,
    images: int = 64,
    kernel: int = 3,
    stride: int = 1,
    half: bool = False,
) -> Shape:
    return Shape(images, c_in, c_out, groups, side, side, kernel, stride, half)


def row(operation: str, size: str, times: str, *, half: bool = False) -> Row:
    return (table.cpu(half=half), half, operation, size, times)


@compiled
def test_the_choice_is_the_least_of_the_times_of_those_that_serve(write_table: Write) -> None:
    times = "torch=4 direct=3 winograd=2 grouped=1 depthwise=0.5"
    write_table(row("dense 3x3/1", "16 16 1 64 64", times))
    assert fastest(shape()).name == "grouped"
    # Only the widths of its groups decide whether `grouped` serves, and the nearest row is the same
    assert fastest(shape(c_out=32)).name == "winograd"
    write_table(row("dense 3x3/2", "16 16 1 64 64", times))
    assert fastest(shape(c_out=32, stride=2)).name == "direct"


@pytest.mark.parametrize("half", [False, True])
def test_without_rows_it_is_torch(write_table: Write, *, half: bool) -> None:
    write_table()
    for given_ in (shape(half=half), shape(groups=4, half=half), shape(groups=16, half=half)):
        assert fastest(given_) is TORCH


@compiled
def test_rows_of_other_operations_types_and_cpus_say_nothing(write_table: Write) -> None:
    (other,) = {"avx2", "avx512"} - {table.cpu(half=False)}
    size, times = "16 16 1 64 64", "winograd=1 torch=2"
    write_table(
        row("dense 3x3/2", size, times),
        row("dense 1x1/1", size, times),
        row("grouped 3x3/1", size, times),
        row("dense 3x3/1", size, times, half=True),
        (other, False, "dense 3x3/1", size, times),
    )
    assert fastest(shape()) is TORCH


def test_a_kind_of_cpu_without_rows_leaves_all_to_torch(
    write_table: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, times = "16 16 1 64 64", "winograd=1 torch=2"
    write_table(*(("avx512", half, "dense 3x3/1", size, times) for half in (False, True)))
    monkeypatch.setattr("trainers.fast.table.cpu", lambda *, half: "amx" if half else "avx512")
    assert fastest(shape(half=True)) is TORCH


@compiled
@pytest.mark.parametrize("names", [("torch", "winograd"), ("winograd", "torch")])
def test_of_equal_times_the_first_in_the_list_of_algorithms_is_taken(
    write_table: Write, names: tuple[str, str]
) -> None:
    times = " ".join(f"{name}=1" for name in names)
    write_table(row("dense 3x3/1", "16 16 1 64 64", times))
    assert fastest(shape()) is TORCH


@compiled
def test_the_nearest_row_by_logarithms_speaks(write_table: Write) -> None:
    write_table(
        row("dense 3x3/1", "16 16 1 64 64", "winograd=1 torch=2"),
        row("dense 3x3/1", "64 64 1 64 64", "winograd=2 torch=1"),
    )
    # 32 lies in the middle, 40 is nearer to 64 by the numbers and by logarithms, 31 to 16.
    assert fastest(shape(c_in=31, c_out=31)).name == "winograd"
    assert fastest(shape(c_in=40, c_out=40)) is TORCH
    assert fastest(shape(c_in=512, c_out=512)) is TORCH
    assert fastest(shape(c_in=1, c_out=1)).name == "winograd"


@compiled
def test_an_algorithm_that_the_row_does_not_know_is_not_taken(write_table: Write) -> None:
    write_table(row("dense 3x3/1", "16 16 1 64 64", "winograd=2 torch=3"))
    assert fastest(shape()).name == "winograd"
    write_table(row("dense 3x3/1", "16 16 1 64 64", "magic=1 torch=3"))
    assert fastest(shape()) is TORCH


@given(
    width=st.sampled_from([1, 2, 3, 8, 16, 40]),
    groups=st.sampled_from([1, 2, 8, 16]),
    side=st.integers(1, 40),
    images=st.integers(1, 200),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2, 3]),
    half=st.booleans(),
)
def test_whatever_the_table_in_use_has_the_choice_is_the_least_of_the_nearest_row(
    width: int, groups: int, side: int, images: int, kernel: int, stride: int, *, half: bool
) -> None:
    channels = width * groups
    asked = Shape(images, channels, channels, groups, side, side, kernel, stride, half)
    times = table.conv_times(asked)
    chosen = fastest(asked)
    assert chosen.serves(asked)
    serving = [found.name for found in ALGORITHMS if found.serves(asked)]
    assert times.get(chosen.name) == min(
        (times[name] for name in serving if name in times), default=None
    )


def test_a_grouped_convolution_is_depthwise_only_if_its_width_stays() -> None:
    assert table.conv_operation(shape())[0] == "dense 3x3/1"
    assert table.conv_operation(shape(groups=16))[0] == "depthwise 3x3/1"
    widening, size = table.conv_operation(shape(groups=16, c_out=32, kernel=5, stride=2))
    assert (widening, size) == ("grouped 5x5/2", (1, 2, 16, 64, 64))


def test_every_algorithm_in_the_table_has_a_name_of_its_own() -> None:
    names = [found.name for found in ALGORITHMS]
    assert len(set(names)) == len(names)
    known = {*names, "mixed", "dense", "parts"}
    for line in table.lines():
        assert {pair.partition("=")[0] for pair in line["microseconds"].split()} <= known


def test_a_file_that_is_written_again_is_read_again(write_table: Write) -> None:
    for name in ("torch", "seen"):
        write_table(row("dense 1x1/2", "16 16 1 64 64", f"{name}=1"))
        assert fastest(shape(kernel=1, stride=2)).name == name


@pytest.mark.parametrize(
    ("widths", "half", "vectors"),
    [
        ((1, 1), False, 1),
        ((1, 2), False, 1),
        ((2, 4), False, 1),
        ((4, 4), False, 1),
        ((4, 4), True, 1),
        ((32, 4), True, 0),
    ],
)
def test_narrow_groups_are_computed_together_up_to_the_lanes_of_a_vector(
    widths: tuple[int, int], half: bool, vectors: int
) -> None:
    c_in, c_out = (32 * width for width in widths)
    count = algorithms._together(shape(c_in=c_in, c_out=c_out, groups=32, half=half))
    assert count == (vectors * table.lanes() // max(widths) or 1)


def test_all_groups_together_would_be_a_dense_convolution() -> None:
    (together,) = (found for found in ALGORITHMS if found.name == "together")
    width = table.lanes() // 2
    assert not together.serves(shape(c_in=width, c_out=width, groups=width))
    width = 2 * table.lanes()
    assert together.serves(shape(c_in=width, c_out=width, groups=width))


def test_chains_are_chosen_by_the_same_laws(write_table: Write) -> None:
    inner, digits, shuffles = 4, (8,), (8, 4)
    size = "4 8 32 16 64"
    given_ = (inner, digits, shuffles, 64, 32, 16, False)
    write_table()
    assert chains._fastest(*given_) == "parts"
    write_table(row("chain of 1", size, "mixed=3 dense=1 parts=2"))
    assert chains._fastest(*given_) == "dense"
    write_table(row("chain of 1", size, "mixed=1 dense=2 parts=3"))
    if mixing.KERNELS.exist():
        assert chains._fastest(*given_) == "mixed"
    # Its second shuffle does not bring back the order: the kernel does not serve.
    assert chains._fastest(inner, digits, (8, 8), 64, 32, 16, False) == "dense"
    assert chains._fastest(inner, digits, shuffles, 64, 64, 16, False) == "dense"
    assert chains._fastest(inner, digits, shuffles, 64, 32, 16, True) == "parts"
