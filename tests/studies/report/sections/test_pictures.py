"""What is drawn of the front, the layers, the networks and the time."""

import random
from collections import Counter

import pytest

from nas_space.convs import TYPES
from studies.analysis.facts import Facts
from studies.analysis.importance import FEWEST_NETWORKS, effects
from studies.report.sections import drawing, front, layers, spending
from studies.report.types import looks
from tests.studies.report.examples import facts, trained
from tests.studies.report.test_html import Reader


@pytest.fixture(scope="module")
def shown() -> Facts:
    return facts(trained(1500))


def test_every_complete_network_is_a_point_and_only_the_front_is_emphasised(shown: Facts) -> None:
    page = Reader(front.picture(shown))
    classes = Counter(given.get("class") for _, given in page.tags)
    assert classes["member"] == len(shown.front)
    (crowd,) = [given["d"] for _, given in page.tags if given.get("class") == "crowd"]
    assert crowd is not None
    assert crowd.count("h0") + classes["other"] + classes["member"] == len(shown.complete)


def test_a_point_says_which_network_it_is(shown: Facts) -> None:
    page = Reader(front.picture(shown))
    notes = {
        given["data-trial"]: given["data-note"] for _, given in page.tags if "data-note" in given
    }
    for entry in shown.front:
        note = notes[str(entry.number)]
        assert note is not None
        assert f"{entry.val_accuracy:.2%}" in note
        assert str(shown.architectures[entry.number]) in note


def test_each_layer_shows_what_each_member_of_the_front_has_there(shown: Facts) -> None:
    page = Reader(layers.picture(shown, looks(tuple(TYPES))))
    cells = Counter(
        (given["data-trial"], given["title"])
        for _, given in page.tags
        if "wide" in (given.get("class") or "")
    )
    expected = Counter(
        (str(entry.number), str(layer.conv))
        for entry in shown.front
        for layer in shown.architectures[entry.number].layers()
        if layer.name != "stem"
    )
    assert cells == expected


def test_types_have_letters_and_colours_of_their_own() -> None:
    found = looks(tuple(TYPES)).values()
    assert (
        len({look.letters for look in found}) == len({look.colour for look in found}) == len(TYPES)
    )
    assert looks(("igc", "iota", "igcv2"))["iota"].letters == "Io"


def test_a_drawing_gives_every_layer_its_share_of_the_macs(shown: Facts) -> None:
    entry = shown.front[-1]
    page = Reader(drawing.drawing(shown, entry, looks(tuple(TYPES))))
    shares = [
        int(style.partition(":")[2].partition(";")[0])
        for tag, given in page.tags
        if tag == "i" and (style := given["style"])
    ]
    assert sum(shares) == entry.macs


def test_time_is_added_up_by_how_trainings_ended(shown: Facts) -> None:
    said = Reader(spending.trainings(shown)).said
    for entries in (shown.complete, shown.partial, shown.failed):
        assert str(len(entries)) in said
    assert spending.bill(shown).startswith("0.62 worker-hours on cpu; ")
    assert "RuntimeError" in Reader(spending.failures(shown)).said


def test_the_choice_that_decides_is_the_most_important_one() -> None:
    entries = trained(400, failing=0.0, full=1.0)
    for entry in entries:
        shape = facts([entry]).architectures[entry.number]
        octave = next(layer.conv.kind for layer in shape.layers() if layer.name != "stem")
        entry.val_accuracy = 0.9 if octave == "octave" else 0.5
    first, *others = effects(facts(entries))
    assert (first.choice, first.best, first.sure) == ("stage1.block1.conv1", "octave", True)
    assert first.beyond > 0.9
    assert first.gain > 0.2
    assert all(effect.beyond < 0.1 for effect in others)
    assert effects(facts(entries[: FEWEST_NETWORKS - 1])) == []


def test_chance_explains_nothing() -> None:
    entries = trained(400, failing=0.0, full=1.0)
    chance = random.Random(3)
    for entry in entries:
        entry.val_accuracy = chance.uniform(0.5, 0.9)
    found = effects(facts(entries))
    # Of some two dozen choices; each is taken for more than chance once in a hundred times.
    assert sum(effect.sure for effect in found) <= 2
    assert all(effect.beyond < 0.06 for effect in found if effect.networks > 300)


def test_a_layer_that_few_networks_have_is_no_choice_of_the_others() -> None:
    found = effects(facts(trained(400, failing=0.0, full=1.0)))
    third = [effect.networks for effect in found if "block3" in effect.choice]
    assert third
    assert all(count < 200 for count in third)


def test_networks_that_are_all_alike_have_no_effects() -> None:
    (entry,) = trained(1, failing=0.0, full=1.0)
    assert effects(facts([entry] * 50)) == []
