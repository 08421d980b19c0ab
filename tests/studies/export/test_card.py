"""The model card shows names as they are, whatever Markdown means by them."""

import dataclasses
import html
import re

import markdown
import numpy as np
import pytest

from nas_space.bundle import Compared, Int8, Measured, Record
from nas_space.opsets import OPSET
from studies.export.card import Card
from studies.export.markdown import code, plain
from tests.examples import evaluation, study
from trainers.data.balance import Answers
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


def card(
    search: SearchData,
    opset: int = OPSET,
    answers: Answers | None = None,
    int8: Int8 | None = None,
    **changes: object,
) -> str:
    measured = Measured(0.5, 100, "quick", 6, 0, balanced=0.25)
    owner = study("x <b>|*", command="python -m searchers.run --study 'a`b'", **changes)
    # What always says the first class; most classes have no images.
    labels = np.repeat([0, 1, 2], [30, 10, 5])
    answers = answers or Answers.of(np.zeros_like(labels), labels, len(search.classes))
    owner.id = 1
    return Card(
        owner,
        evaluation(owner, 3, 0.5),
        dataclasses.replace(load("digits"), search=search),
        Record(measured, measured, measured, int8),
        anew=False,
        answers=answers,
        val_answers=answers,
        latencies=[("in torch", Latency(1, 0.001, (0.001, 0.001), 10))],
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
    for split in ("test", "validation"):
        assert f"| {split} balanced accuracy, the mean over the classes | 33.33% |" in text
        assert f"| {split} macro-F1, the mean over the classes of F1, which joins" in text


def test_the_card_has_the_figures_of_each_class_and_of_the_studys_metric() -> None:
    data = load("digits").search
    text = card(data)
    assert "\n## Classes\n" in text
    assert "| 0 | 30 | 100.00% | 88.65% to 100.00% | 66.67% | 80.00% |\n" in text
    assert "| 2 | 5 | 0.00% | 0.00% to 43.45% | – | 0.00% |\n" in text
    assert "| 3 |" not in text, "a class without test images"
    assert "macro-F1" not in text
    recipe = {"name": "quick", "epochs": 6, "metric": "macro-f1", "balance": "sampling"}
    text = card(data, recipe=recipe)
    assert "| validation macro-F1 | 50.00% (quick, 6 epochs) |" in text
    assert "| test macro-F1, the mean over the classes of F1, which joins recall" in text
    assert text.count("validation macro-F1") == 2, "of the network, and in the search"
    assert "quick with classes balanced by sampling, 6 epochs" in text


def test_of_many_classes_the_card_has_those_that_are_recognised_least() -> None:
    data = load("digits").search
    many = dataclasses.replace(data, classes=tuple(f"kind {number}" for number in range(40)))
    answers = Answers.of(np.r_[0, :40], np.r_[3, :40])
    text = card(many, answers=answers)
    assert "The 20 of 40 classes that are recognised least." in text
    assert text.partition("## Classes")[2].count("| kind ") == 20
    assert text.index("| kind 3 | 2 | 50.00% |") < text.index("| kind 0 | 1 | 100.00% |")


@pytest.mark.parametrize(("opset", "runtime"), [(18, "1.15"), (22, "1.21")])
def test_the_card_says_which_runtimes_load_its_onnx_file(opset: int, runtime: str) -> None:
    said = f"operators of opset {opset}, which onnxruntime {runtime} and newer load"
    assert said in card(load("digits").search, opset=opset)


def test_the_card_tells_what_int8_loses_and_gains() -> None:
    assert ".int8." not in card(load("digits").search)
    test, val = Compared(0.9, 0.89, 1000, -0.02, 0.0), Compared(0.9, 0.8, 1000, -0.12, -0.08)
    measured = Int8(val, test, 512, ("stem.0",), 0.01, 4000, 1000, 0.002, 0.001, "a|machine")
    text = card(load("digits").search, int8=measured)
    row = "| test accuracy, 1,000 images | 90.00% (87.98% to 91.71%) | 89.00% (86.91% to 90.79%) "
    verdict = "may lose: 1. **It loses more.** Layers that stay in float32, since int8 harms them "
    for said in (
        "## In int8\n\n`model.int8.onnx` is",
        row + "| -1.00 points (-2.00 to +0.00) |",
        "| file | 4,000 bytes | 1,000 bytes | 0.25 times |",
        "| latency, batch of 1 | 2 ms | 1 ms | 0.50 times |",
        verdict + "most: `stem.0`.\n\n## Load",
    ):
        assert said in text
    within = dataclasses.replace(measured, validation=test)
    assert "**It loses more.**" not in card(load("digits").search, int8=within)


def test_the_card_has_no_mark_of_a_name() -> None:
    data = load("digits").search
    text = card(dataclasses.replace(data, classes=(*EVIL, "6", "7", "8", "9")))
    assert text.startswith("# x &lt;b&gt;\\|\\* trial 3\n")
    assert "<img" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| classes")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "``python -m searchers.run --study 'a`b'``" in text
