"""Tables on terminals of any width."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nas_space.tables import Column, Fitted, Long

LABELS = st.text("abcxyz0189.:=()%", min_size=1, max_size=30)
COLUMNS = (
    Column("name", left=True),
    Column("validation accuracy"),
    Column("MACs"),
    Column("key", wide=True),
    Column("parameters", spare=1),
    Column("what it is", text=True),
)


def drawn(table: Fitted, width: int) -> list[str]:
    console = Console(width=width, force_terminal=False, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


@given(st.lists(st.tuples(LABELS, LABELS, LABELS), min_size=1, max_size=4), st.integers(34, 200))
def test_names_and_numbers_are_whole_and_lines_fit_at_any_width(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    cells = [(name, one, two, "k", "p", Long("word " * 40)) for name, one, two in rows]
    lines = drawn(Fitted(COLUMNS, cells, "A title"), width)
    assert all(len(line) <= width for line in lines)
    flat = " ".join(lines)
    for name, *numbers in rows:
        assert name in flat
        if width > 45:
            assert all(number in flat for number in numbers)


def test_columns_go_one_after_the_other_and_text_gets_shorter() -> None:
    row = ("n" * 20, "95.47%", "34.5k", "96d39769fe08", "12.4k", Long("octave " * 30))
    named = (*row[:5], Long("by hand: ResNet-8; " + "regular " * 30, "by hand: ResNet-8"))
    table = Fitted(COLUMNS, [row, named])
    wide, narrow, small, least = (drawn(table, width) for width in (150, 100, 70, 24))
    assert "96d39769fe08" in "".join(wide)
    assert any("12.4k" in line and "96d39769fe08" not in line for line in narrow)
    assert not any("12.4k" in line for line in small)
    assert sum("95.47%" in line for line in small) == 2
    assert small[-2].rstrip().endswith("…")
    assert small[-1].rstrip().endswith("by hand: ResNet-8")
    assert len(wide) > len(small)
    # Without room for a table: a paragraph for each row.
    assert [line.strip() for line in least if "n" * 20 in line] == ["n" * 20, "n" * 20]
    assert "95.47%" in "".join(least)


@pytest.mark.parametrize("width", [60, 80])
def test_a_long_label_goes_on_after_a_comma(width: int) -> None:
    label = "igcv2(K1=2,K2=8,K3=4,K4=4,kernel=1)"
    columns = (Column("layer", left=True), Column("is", text=True), Column("MACs"))
    lines = drawn(Fitted(columns, [("l" * (width - 36), label, "5.02M")], lines=False), width)
    parts = [re.search(r"[a-zA-Z0-9(),=]*$", line.replace("5.02M", "").rstrip()) for line in lines]
    assert "".join(part[0] for part in parts[1:] if part) == label
    assert all(part and part[0].endswith((",", ")")) for part in parts[1:])
