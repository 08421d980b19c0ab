"""What a page says first."""

import re

import pytest

from nas_space.cli import short
from studies.analysis.facts import Facts
from studies.analysis.importance import effects
from studies.analysis.preferences import preferences
from studies.pareto.front import accuracy_of
from studies.pareto.knee import knee
from studies.records.tables import Evaluation, Retraining
from studies.report.page import page
from studies.report.paths import without_paths
from studies.report.sections import answer, choices, front, ranking
from studies.retraining.summary import told
from tests.studies.report.examples import facts, owner, trained
from tests.studies.report.test_html import Reader


def said(found: Facts) -> str:
    return Reader(str(answer.section(found))).said


def with_images(count: int, entries: list[Evaluation]) -> Facts:
    shown = owner()
    shown.dataset = shown.dataset | {"val_images": count}
    return facts(entries, shown)


def retrained(found: Facts) -> Facts:
    """The same, the front trained again with three seeds, each a point worse."""
    rows = [
        Retraining(
            evaluation_id=entry.id,
            recipe="quick",
            epochs=6,
            seed=seed,
            val_accuracy=(entry.val_accuracy or 0.0) - seed / 100,
        )
        for entry in found.shown
        for seed in (1, 2, 3)
    ]
    return Facts(found.study, found.evaluations, rows, found.shown_url)


@pytest.fixture(scope="module")
def searched() -> list[Evaluation]:
    return trained(200)


def test_the_knee_stands_beside_the_most_accurate_network(searched: list[Evaluation]) -> None:
    found = with_images(287, searched)
    text = said(found)
    best, middle = found.judged[-1], knee(found.judged)
    assert f"The knee, trial {middle.number}, is right for {accuracy_of(middle):.1%}" in text
    points = 100 * (accuracy_of(best) - accuracy_of(middle))
    assert f"{points:.1f} points less than the most accurate, trial {best.number}" in text
    assert f"for {middle.cost / best.cost:.0%} of its MACs" in text
    assert "on 287 validation images (± 1.3 points for the best" in text
    assert text.index("The knee") < text.index("best validation accuracy")
    assert "Choose no network" not in text


def test_of_a_search_for_a_target_the_best_within_it_stands_first(
    searched: list[Evaluation],
) -> None:
    def about(target: str) -> Facts:
        found = with_images(287, searched)
        found.study.command += f" --target {target}"
        return found

    costs = sorted(member.cost for member in facts(searched).judged)
    middle, least = costs[len(costs) // 2], costs[0]
    found = about(f"{middle:.0f}")
    wanted = [member for member in found.judged if member.cost <= middle][-1]
    text = said(found)
    assert f", trial {wanted.number}, is right for {accuracy_of(wanted):.1%}" in text
    assert text.count("The best within") == 1
    assert "The knee" not in text
    assert f"--max-macs {middle:.0f} --retrain" in page(found)
    assert f"No network within {short(least - 1)} was" in said(about(f"{least - 1:.0f}"))
    for odd in ("", "'", "many"):
        assert "The knee" in said(about(odd))


def test_a_type_that_the_front_prefers_is_named_with_its_share() -> None:
    entries = trained(300, failing=0.0, full=1.0)
    for entry in entries:
        kinds = [layer.conv.kind for layer in facts([entry]).architectures[entry.number].layers()]
        entry.val_accuracy = 0.2 + 0.6 * kinds.count("octave") / len(kinds) + entry.number / 1e6
    found = facts(entries)
    first = preferences(found)[0]
    assert (first.kind, first.sure) == ("octave", True)
    assert f"The front prefers octave, {first.ratio:.1f} times as often" in said(found)
    assert f"({first.front:.0%} of its layers beside {first.tried:.0%})" in said(found)


def test_what_chance_may_be_is_called_so(searched: list[Evaluation]) -> None:
    found = facts(searched)
    assert not any(preference.sure for preference in preferences(found))
    assert "prefers no type by more than chance may" in said(found)


def test_few_images_are_warned_of(searched: list[Evaluation]) -> None:
    assert "Only 60 validation images: each is 1.7 points" in said(with_images(60, searched))
    assert "Only" not in said(with_images(100, searched))
    assert "Only" not in said(facts(searched)), "of older studies nobody knows"


def test_means_of_fresh_seeds_are_the_headline(searched: list[Evaluation]) -> None:
    found = retrained(with_images(287, searched))
    assert found.retrained_front is not None
    text, best = said(found), found.retrained_front.front[-1]
    assert f"best mean of fresh seeds{told(best.accuracy)}best of one seed" in text
    middle = knee(found.retrained_front.front)
    assert found.knee is middle.evaluation
    # No member is above the line between the ends.
    assert middle is found.retrained_front.front[-1]
    assert f"is the most accurate: {accuracy_of(middle):.1%} at" in text
    assert "means of 3 fresh seeds (quick, 6 epochs) on 287 validation images" in text
    assert "export --study s --retrained --knee" in Reader(page(found)).said


def test_seeds_that_all_failed_are_no_headline(searched: list[Evaluation]) -> None:
    found = retrained(with_images(287, searched))
    for row in found.retrainings:
        row.val_accuracy = None
    assert found.retrained_front is None
    assert "best validation accuracy99.00%" in said(found)


def test_of_equal_accuracies_nothing_is_claimed() -> None:
    entries = trained(200)
    for entry in entries:
        entry.val_accuracy = None if entry.val_accuracy is None else 0.1
    found = with_images(287, entries)
    text = said(found)
    assert "are right for 10.00% of the validation images, so nothing here says which" in text
    assert "prefers" not in text
    assert "expected" not in text
    assert effects(found) == []
    for section in (choices.section(found), ranking.section(found, {})):
        assert "All networks are equally accurate" in Reader(str(section)).said
    assert "explains 6" not in Reader(page(found)).said
    found.study.dataset["largest"] = {"name": "cat", "share": 0.1, "unequal": False}
    assert "always saying 'cat' gives" in said(found)


def test_a_study_of_failures_opens_with_the_reason() -> None:
    entries = trained(30, failing=1.0)
    text = said(facts(entries))
    assert text.startswith("sAll 30 trainings failed: RuntimeError: out of memory.")
    entries[0].error = "OSError: /home/me/photos/x.png cannot be read"
    assert "failed, 29 of them with RuntimeError: out of memory." in said(facts(entries))


def test_what_has_hardly_begun_says_so() -> None:
    assert said(facts([])).startswith("sNothing was trained yet.")
    assert "No network was trained to the end yet, 3 partly." in said(
        facts(trained(3, failing=0.0, full=0.0))
    )
    (only,) = trained(1, failing=0.0, full=1.0)
    assert "Trial 0 is the only one trained to the end: 99.0% at" in said(facts([only]))


def test_the_band_is_what_the_images_leave(searched: list[Evaluation]) -> None:
    def band(found: Facts) -> list[float]:
        tags = Reader(front.picture(found)).tags
        (path,) = [given["d"] or "" for _, given in tags if given.get("class") == "band"]
        ends = re.findall(r"V([\d.]+)|[ML][\d.]+ ([\d.]+)", path)
        return [float(one or other) for one, other in ends]

    wide, narrow = band(with_images(50, searched)), band(with_images(5000, searched))
    assert max(wide) - min(wide) > max(narrow) - min(narrow)
    assert "band" not in {given.get("class") for _, given in Reader(page(facts(searched))).tags}


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("/home/me/photos/cats", "…/cats"),
        ("search --dataset ~/photos/cats --epochs 3", "search --dataset …/cats --epochs 3"),
        ("--storage=sqlite:////home/me/convnas.db", "--storage=sqlite:///…/convnas.db"),
        ("sqlite:///convnas.db", "sqlite:///convnas.db"),
        ("postgresql+psycopg://me@host/database", "postgresql+psycopg://me@host/database"),
        (r"OSError: C:\Users\me\x.png is missing", r"OSError: …/x.png is missing"),
        ("accuracy and/or cost, 8×8 /2", "accuracy and/or cost, 8×8 /2"),
    ],
)
def test_paths_lose_their_folders(text: str, shared: str) -> None:
    assert without_paths(text) == shared


def test_a_page_tells_no_local_path() -> None:
    shown = owner(command="convnas search --dataset /home/me/photos/cats --budget 9")
    shown.dataset = shown.dataset | {"name": "/home/me/photos/cats", "data_dir": "/home/me/kept"}
    entries = trained(60)
    for entry in entries:
        entry.error = "OSError: /home/me/photos/x.png" if entry.error else None
    found = Facts(shown, entries, [], "sqlite:////home/me/convnas.db")
    text = page(found)
    assert "/home" not in text
    assert "searched on …/cats (images" in Reader(text).said
