"""What ranks networks before they are trained to the end."""

from studies.report.sections.ranking import section
from tests.studies.report.examples import facts, trained
from tests.studies.report.test_html import Reader


def test_parameters_macs_and_computed_scores_are_ranked_side_by_side() -> None:
    found = facts(trained(40, failing=0.0, full=1.0))
    oracle = [entry.val_accuracy or 0.0 for entry in found.complete]
    text = Reader(str(section(found, {"oracle": oracle}))).said
    assert "oracle" in text
    assert "params" in text
    assert "macs" in text
    assert "yes" in text
    assert "--scores" not in text


def test_without_scores_it_says_how_to_have_them() -> None:
    text = Reader(str(section(facts(trained(40, full=1.0)), {}))).said
    assert "studies.report --scores" in text


def test_of_few_networks_nothing_is_said() -> None:
    text = Reader(str(section(facts(trained(9, failing=0.0, full=1.0)), {}))).said
    assert "Fewer than 10 full trainings say nothing" in text


def test_the_accuracies_of_a_rung_that_all_have_been_through_are_ranked() -> None:
    found = facts(trained(40, failing=0.0, full=1.0))
    entries = list(found.complete)
    for entry in found.complete:
        lower = type(entry)(
            **{column.name: getattr(entry, column.name) for column in entry.__table__.columns}
        )
        lower.epochs, lower.number = 1, entry.number + 1000
        entries.append(lower)
    text = Reader(str(section(facts(entries), {}))).said
    assert "accuracy after 1 epoch" in text
    assert "accuracy after 1 epoch" not in Reader(str(section(facts(entries[:-1]), {}))).said
