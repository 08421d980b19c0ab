"""The model card shows names as they are, whatever Markdown means by them."""

import dataclasses
import html
import re

import markdown
import pytest

from nas_space.bundle import Measured, Record
from studies.export.card import Card
from studies.export.markdown import code, plain
from tests.examples import evaluation, study
from trainers.data.registry import load
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


def test_the_card_has_no_mark_of_a_name() -> None:
    digits = load("digits")
    search = dataclasses.replace(digits.search, classes=(*EVIL, "6", "7", "8", "9"))
    measured = Measured(0.5, 100, "quick", 6, 0)
    owner = study("x <b>|*", command="python -m searchers.run --study 'a`b'")
    owner.id = 1
    text = Card(
        owner,
        evaluation(owner, 3, 0.5),
        dataclasses.replace(digits, search=search),
        Record(measured, measured, measured),
        anew=False,
        latencies=[Latency(1, 0.001, (0.001, 0.001), 10)],
        hardware="a machine",
        looks=1,
    ).text()
    assert text.startswith("# x &lt;b&gt;\\|\\* trial 3\n")
    assert "<img" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| classes")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "``python -m searchers.run --study 'a`b'``" in text
