"""The model card shows names as they are, whatever Markdown means by them."""

import dataclasses
import html
import re

import markdown
import numpy as np
import pytest

from nas_space.bundle import Measured, Record
from nas_space.opsets import OPSET
from studies.export.card import Card
from studies.export.markdown import code, plain
from tests.examples import evaluation, study
from trainers.data.registry import load
from trainers.data.splits import Images, SearchData
from trainers.latency import Latency

EVIL = (
    "a|b",
    "<img src=x onerror=alert(1)>",
    "[click](http://example.com)",
    "![dot](http://example.com/dot.png)",
    "**bold** _it_ `code`",
    "back\\slash &amp; #1",
)


def shown(text: str) -> str:
    """What a reader of the page sees."""
    return html.unescape(re.sub(r"<[^>]*>", "", text))


@pytest.mark.parametrize("name", EVIL)
def test_a_name_in_a_table_is_shown_letter_by_letter(name: str) -> None:
    page = markdown.markdown(
        f"| a | b |\n| --- | --- |\n| {plain(name)} | x |", extensions=["tables"]
    )
    (cell, _) = re.findall("<td>(.*?)</td>", page)
    # This renderer knows fewer escapes than GitHub's.
    assert re.sub(r"\\([|!#])", r"\1", shown(cell)) == name
    assert not re.search("<(img|a|strong|em|code)", cell)


@pytest.mark.parametrize("text", ["plain", "a `b` c", "``", "`x", "a ```` b", "<b>"])
def test_code_is_shown_letter_by_letter(text: str) -> None:
    page = markdown.markdown(f"say {code(text)} now")
    found = re.search("<code>(.*)</code>", page)
    assert found is not None
    assert html.unescape(found[1]).strip() == text


def test_what_is_not_printed_is_a_space() -> None:
    assert plain("a\nb\u202e") == "a b "
    assert code("a\n# b") == "`a # b`"


def card(search: SearchData, opset: int = OPSET) -> str:
    measured = Measured(0.5, 100, "quick", 6, 0, balanced=0.25)
    owner = study("x <b>|*", command="python -m searchers.run --study 'a`b'")
    owner.id = 1
    return Card(
        owner,
        evaluation(owner, 3, 0.5),
        dataclasses.replace(load("digits"), search=search),
        Record(measured, measured, measured),
        anew=False,
        latencies=[Latency(1, 0.001, (0.001, 0.001), 10)],
        hardware="a machine",
        looks=1,
        opset=opset,
    ).text()


def test_the_card_says_what_always_saying_the_largest_class_gives() -> None:
    data = load("digits").search
    text = card(data)
    assert "| accuracy of always saying 1, the largest class | 10.10% of the validation" in text
    assert "balanced" not in text
    kept = np.flatnonzero((data.val.labels == 0) | (np.arange(len(data.val)) < 50))
    val = Images(data.val.pixels[kept], data.val.labels[kept])
    text = card(dataclasses.replace(data, val=val))
    assert "| balanced test accuracy, the mean over the classes | 25.00% |" in text
    assert "| balanced validation accuracy, the mean over the classes | 25.00% |" in text


@pytest.mark.parametrize(("opset", "runtime"), [(18, "1.15"), (22, "1.21")])
def test_the_card_says_which_runtimes_load_its_onnx_file(opset: int, runtime: str) -> None:
    said = f"operators of opset {opset}, which onnxruntime {runtime} and newer load"
    assert said in card(load("digits").search, opset=opset)


def test_the_card_has_no_mark_of_a_name() -> None:
    data = load("digits").search
    text = card(dataclasses.replace(data, classes=(*EVIL, "6", "7", "8", "9")))
    assert text.startswith("# x &lt;b&gt;\\|\\* trial 3\n")
    assert "<img" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| classes")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "``python -m searchers.run --study 'a`b'``" in text
