"""HTML as values: nothing gets in unescaped."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from studies.report.html import Markup, element, table, text


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_comes_back_as_text_and_makes_no_tag(hostile: str) -> None:
    page = Reader(element("p", hostile, title=hostile))
    assert page.tags == [("p", {"title": hostile})]
    assert page.said == hostile


def test_markup_stays_and_what_is_in_lists_is_found() -> None:
    inner = element("b", "<")
    assert isinstance(inner, Markup)
    assert text([inner, [" & ", inner]]) == "<b>&lt;</b> &amp; <b>&lt;</b>"


def test_attributes_are_written_as_html_has_them() -> None:
    drawn = element("meta", data_trial=7, class_="a", x=1.5, style=None)
    assert drawn == '<meta data-trial="7" class="a" x="1.5">'


def test_a_table_has_its_headings_and_cells() -> None:
    page = Reader(table(["a", "b"], [["1", "<2>"]]))
    assert [tag for tag, _ in page.tags].count("th") == 2
    assert page.said == "ab1<2>"
