"""`python -m studies.report` as its users type it."""

import sys
from pathlib import Path

import pytest

from studies.records.store import Store
from studies.records.tables import Study
from studies.report.command import main
from studies.report.page import page
from studies.report.sections import answer
from studies.report.sections.front import members
from tests.refusals import refusal
from tests.studies.report.examples import facts, owner, trained
from tests.studies.report.test_html import Reader

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path / 'convnas.db'}"


def stored(url: str, shown: Study, count: int, **options: float) -> None:
    store = Store(url, create=True)
    shown.id = None  # type: ignore[assignment]
    study = store.enter(shown)
    for entry in trained(count, **options):
        entry.study_id, entry.id = study.id, None  # type: ignore[assignment]
        entry.error = HOSTILE if entry.val_accuracy is None else None
        store.record(entry)
    store.close()


def test_unequal_classes_are_told_beside_the_best_with_balanced_accuracies() -> None:
    entries = trained(6, failing=0, full=1)
    for entry in entries:
        entry.balanced_accuracy = 0.4321
    shown = owner()
    found = facts(entries, shown)
    assert "balanced accuracy" not in members(found)
    largest = {"name": "<common>", "share": 0.9836, "unequal": True}
    shown.dataset = shown.dataset | {"largest": largest}
    assert "balanced accuracy" in members(found)
    assert members(found).count("43.21%") == len(found.shown)
    headline = str(answer.section(found))
    assert "always saying" in headline
    assert "98.36%" in headline
    assert "<common>" not in headline


def report(url: str, *options: str) -> int:
    sys.argv = ["studies.report", "--storage", url, *options]
    return main()


@pytest.mark.parametrize(
    ("count", "options"),
    [(0, {}), (1, {"failing": 0.0, "full": 1.0}), (3, {"failing": 1.0}), (3, {"full": 0.0})],
    ids=["nothing", "one network", "failures alone", "partial trainings alone"],
)
def test_a_search_that_has_hardly_begun_has_a_report(
    url: str, count: int, options: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    stored(url, owner(), count, **options)
    assert report(url) == 0
    assert capsys.readouterr().out == "written   s.html; open it in a browser\n"
    assert "How the front grew" in Path("s.html").read_text()


def test_a_report_is_one_file_that_fetches_nothing_and_escapes_everything(url: str) -> None:
    stored(url, owner(f"{HOSTILE}/../{HOSTILE}", command=HOSTILE), 80)
    assert report(url, "--output", "r.html") == 0
    text = Path("r.html").read_text()
    read = Reader(text)
    assert "<script>alert" not in text
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert all("src" not in given and "href" not in given for _, given in read.tags)
    assert "url(" not in text
    assert "http" not in text
    assert list(Path().glob("*.part")) == []
    assert report(url) == 0
    assert Path("script-alert-x-script-script-alert-x-script.html").exists()


@pytest.mark.slow
def test_ten_thousand_networks_are_less_than_a_megabyte() -> None:
    once = trained(250, failing=0.0, full=1.0)
    text = page(facts(once * 40))
    assert len(text.encode()) < 1_000_000
    assert "the best 400 of the others say what they are" in Reader(text).said


def test_random_search_can_be_drawn_beside_it(url: str) -> None:
    stored(url, owner("mine"), 60)
    stored(url, owner("random"), 40)
    assert report(url, "--study", "mine", "--against", "random") == 0
    read = Reader(Path("mine.html").read_text())
    assert "rival" in {given.get("class") for _, given in read.tags}
    assert "--against random" not in read.said
    assert report(url, "--study", "mine") == 0
    assert "--sampler random --study random" in Reader(Path("mine.html").read_text()).said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--study", "none"], "no study 'none'"),
        (["--study", "mine", "--against", "none"], "no study 'none'"),
        (["--study", "mine", "--against", "other"], "it has another objective than mine"),
        (["--study", "mine", "--against", "longer"], "another recipe than mine (epochs: 6, now 9)"),
        (["--study", "mine", "--output", "."], "is a folder: say a file"),
        (["--study", "mine", "--output", "no/such/r.html"], "No such file or directory"),
    ],
)
def test_bad_input_is_one_line(
    url: str, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(url, owner("mine"), 1)
    stored(url, owner("other", objective="params"), 1)
    stored(url, owner("longer", recipe={"name": "quick", "epochs": 9}), 1)
    assert reason in refusal(lambda: report(url, *options), capsys)
    assert [path.name for path in Path().iterdir()] == ["convnas.db"]
