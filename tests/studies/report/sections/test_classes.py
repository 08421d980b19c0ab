"""What the network of the answer takes for what."""

import json
from dataclasses import replace

import numpy as np

from studies.analysis.facts import Facts
from studies.records.tables import Retraining
from studies.report.page import page
from studies.report.sections import classes
from tests.studies.report.examples import facts, owner, trained
from tests.studies.report.test_html import Reader
from trainers.data.balance import Answers


def answered(answers: Answers, names: list[str]) -> Facts:
    """A study whose networks all gave these answers."""
    entries = trained(6, failing=0, full=1)
    for entry in entries:
        entry.answers = json.loads(json.dumps(answers.to_json()))
    shown = owner()
    largest = {"name": names[0], "share": 0.75, "unequal": True}
    shown.dataset = shown.dataset | {"classes": names, "largest": largest}
    return facts(entries, shown)


LABELS = np.repeat([0, 1, 2], [6, 2, 1])
FEW = Answers.of(np.array([0, 0, 0, 0, 0, 1, 1, 0, 0]), LABELS, 3)


def test_each_class_has_its_figures_and_what_it_is_taken_for() -> None:
    found = answered(FEW, ["cat", "<dog>", "bird"])
    assert found.knee is not None
    drawn = str(classes.section(found))
    said = Reader(drawn).said
    assert f"Of trial {found.knee.number}, " in said
    assert "Always saying 'cat', the largest class, would be right for 75.00%" in said
    assert "the network is right for 66.67%" in said
    assert "<dog>" not in drawn
    assert drawn.count("&lt;dog&gt;") == 3, "a row of figures, a row and a column of the matrix"
    for figures in (
        ("83.3%", "71.4%", "76.9%"),
        ("50.0%", "50.0%", "50.0%"),
        ("0.0%", "–", "0.0%"),
    ):
        assert "".join(f'<td class="number">{value}</td>' for value in figures) in drawn
    matrix = drawn.partition("confusion")[2]
    assert matrix.count(">·<") == 4
    assert matrix.count(">5<") == 1


def test_of_many_classes_those_that_are_recognised_least_are_shown_and_the_mistakes() -> None:
    names = [f"kind {number}" for number in range(40)]
    drawn = str(classes.section(answered(Answers.of(np.r_[0, 0, :40], np.r_[3, 3, :40]), names)))
    assert "confusion" not in drawn
    assert drawn.index("kind 3<") < drawn.index("kind 0<")
    cells = ("kind 3", "kind 0", "2", "66.7%")
    assert "".join(cells) in Reader(drawn.partition("The most frequent mistakes")[2]).said
    assert "kind 39" not in drawn


def test_a_network_that_was_trained_again_has_the_figures_of_its_fresh_seeds_together() -> None:
    found = answered(FEW, ["cat", "dog", "bird"])
    right, wrong = Answers.of(LABELS, LABELS, 3), Answers.of(np.zeros(9, np.int64), LABELS, 3)

    def with_seeds(*known: Answers | None) -> Facts:
        rows = [
            Retraining(
                evaluation_id=member.id,
                recipe="quick",
                epochs=6,
                seed=seed,
                val_accuracy=0.5,
                answers=None if each is None else each.to_json(),
            )
            for member in found.front
            for seed, each in enumerate(known, 1)
        ]
        return replace(found, retrainings=rows)

    def said(drawn: Facts) -> str:
        return Reader(str(classes.section(drawn))).said

    together = with_seeds(right, wrong, None)
    assert "trained again with 2 fresh seeds, on 9 validation images, counted" in said(together)
    assert "the network is right for 83.33%" in said(together)
    drawn = str(classes.section(together))
    for figures in (
        ("12", "100.0%", "80.0%", "88.9%"),
        ("4", "50.0%", "100.0%", "66.7%"),
        ("2", "50.0%", "100.0%", "66.7%"),
    ):
        assert "".join(f'<td class="number">{value}</td>' for value in figures) in drawn
    # Those of before answers were kept, and of another data set, leave what the search knows.
    for unknown in (None, Answers.of(LABELS, LABELS, 4)):
        assert "as the search trained it, on 9 validation images. Recall" in said(
            with_seeds(unknown)
        )


def test_where_nothing_is_known_of_classes_nothing_is_shown() -> None:
    older = facts(trained(6, failing=0, full=1))
    assert classes.section(older) == ""
    assert "<h2>Classes</h2>" not in page(older)
    assert classes.section(answered(FEW, ["cat", "dog"])) == "", "of another data set"
    assert classes.section(facts([])) == ""
    assert "<h2>Classes</h2>" in page(answered(FEW, ["cat", "dog", "bird"]))
