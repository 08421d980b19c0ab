"""Commands on a terminal of 80 columns: no name and no number is cut."""

from pathlib import Path

import pytest

from nas_space.cli import short
from nas_space.papers import get
from nas_space.spaces.registry import spaces
from studies.analysis.facts import Facts
from studies.analysis.layer_costs import layer_costs
from studies.analysis.rank_correlation import RankCorrelation
from studies.model.accuracy import better_than_measured
from studies.pareto.front import front
from studies.records.fidelity import complete
from studies.records.store import Store
from studies.records.tables import Retraining
from studies.retraining.summary import told
from studies.scores import _table
from tests.examples import TASK
from tests.nas_space.test_tables import drawn
from tests.refusals import after_waiting
from tests.studies.report.examples import owner, trained
from tests.terminal import seen

NAME = "a-study-whose-name-is-rather-long-because-people-write-a-story"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a study, the front of which was trained again."""
    place = tmp_path_factory.mktemp("eighty")
    store = Store(f"sqlite:///{place / 'convnas.db'}", create=True)
    shown = owner(NAME)
    shown.id = None  # type: ignore[assignment]
    study = store.enter(shown)
    for entry in trained(60):
        entry.study_id, entry.id = study.id, None  # type: ignore[assignment]
        entry.activation_memory, entry.latency = 5120, 0.00123
        store.record(entry)
    evaluations = store.evaluations(study)
    members = [*front(complete(evaluations, study)), *better_than_measured(study, evaluations)]
    for seed in (1, 2, 3):
        for member in members:
            store.record_retraining(
                Retraining(
                    evaluation_id=member.id,
                    recipe="quick",
                    epochs=6,
                    seed=seed,
                    val_accuracy=(member.val_accuracy or 0.0) - seed / 100,
                    versions={},
                )
            )
    store.close()
    return place


@pytest.fixture(scope="module")
def facts(folder: Path) -> Facts:
    store = Store(f"sqlite:///{folder / 'convnas.db'}")
    found = Facts.of(store, None)
    store.close()
    return found


def row(lines: list[str], *words: str) -> str:
    """The one line that begins with these words."""
    (found,) = [line for line in lines if line.split()[: len(words)] == list(words)]
    return found


def test_a_long_name_of_a_study_is_whole(folder: Path) -> None:
    lines = seen(80, "studies.list", folder=folder).splitlines()
    assert NAME in lines
    told = " ".join(lines)
    assert all(word in told for word in ("mixed", "digits", "quick", "finished", "front"))
    assert max(map(len, lines)) <= 80


def test_a_network_of_the_front_is_a_line(folder: Path, facts: Facts) -> None:
    lines = seen(80, "studies.pareto", folder=folder).splitlines()
    for member in facts.front:
        line = row(lines, str(member.number), f"{member.val_accuracy:.2%}")
        assert {short(member.macs), "1.23"} <= set(line.split())
        assert member.key not in line
    assert max(map(len, lines)) <= 80
    wide = seen(200, "studies.pareto", folder=folder)
    assert all(member.key in wide for member in facts.front)


@pytest.mark.parametrize(
    "command",
    [
        ("studies.pareto", "--retrained"),
        ("studies.finalists", "--recipe", "quick", "--epochs", "6"),
    ],
)
def test_finalists_show_their_numbers(folder: Path, facts: Facts, command: tuple[str, ...]) -> None:
    found = facts.retrained_front
    assert found is not None
    lines = seen(80, *command, folder=folder).splitlines()
    listed = command[0] == "studies.finalists"
    for finalist in found.finalists if listed else found.front:
        (line,) = [x for x in lines if x.split()[:1] == [str(finalist.number)]]
        assert told(finalist.accuracy) in line
        assert short(finalist.macs) in line.split()
        if listed:
            assert f"{finalist.evaluation.val_accuracy:.2%}" in line
            assert f"{finalist.difference:+.2%}" in line


def test_layers_of_a_network_have_their_names_and_costs(folder: Path, facts: Facts) -> None:
    shown = facts.front[-1]
    lines = seen(80, "studies.show", str(shown.number), folder=folder).splitlines()
    for layer in layer_costs(shown.parsed_architecture, TASK):
        line = row(lines, layer.layer)
        assert short(layer.macs) in line.split()
        assert f"{layer.macs / shown.macs:.1%}" in line
    assert f"({shown.key})" in " ".join(lines)


def test_layers_of_a_papers_network_have_their_counts(tmp_path: Path) -> None:
    name = "oct-resnet-26-v2-a0.5"
    lines = seen(80, "nas_space.networks", "--build", name, folder=tmp_path).splitlines()
    for layer in get(name).counts().layers:
        line = row(lines, layer.name)
        assert {f"{layer.macs:,}", f"{layer.params:,}"} <= set(line.split())
    assert max(map(len, lines)) <= 80


def test_a_conversion_names_every_layer_and_its_convolution(tmp_path: Path) -> None:
    told = after_waiting(seen(80, "nas_space.convert", "resnet18", "igcv2", folder=tmp_path))
    lines = told.splitlines()
    assert {"5.02M", "116M"} <= set(row(lines, "layer1.0.conv1").split())
    assert row(lines, "layer2.0.downsample.0")
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= 80


def test_spaces_and_scores_fit(tmp_path: Path) -> None:
    told = seen(80, "nas_space.spaces", folder=tmp_path)
    for space in spaces().values():
        assert all(kind in told for kind in (space.name, *space.kinds))
    assert max(map(len, told.splitlines())) <= 80
    name = "accuracy after 1 epoch"
    score = RankCorrelation(name, 0.91, (0.85, 0.99), 0.8, 0.7, 0.1, (0.1, 0.2), 60)
    lines = drawn(_table([score], "accuracy"), 80)
    assert all(text in lines[-1] for text in score.texts)
