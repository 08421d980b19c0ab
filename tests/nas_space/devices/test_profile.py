"""Profiles of devices: those that come along, files of users, and what is wrong with them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas_space.costs.operations import CONVOLUTION, GROUPED, Operation, Tally, convolution
from nas_space.devices import DEVICES, Memory, Operators, Profile, ProfileError, find
from nas_space.devices.__main__ import main

BOARD = """\
name = "my-board"
title = "A board"
runtime = "A runtime"
clock = "100 MHz"

[ram]
total = "64 KiB"
taken = "10 kB"
factor = 1.5
channel = 8
operation = 100
source = "its datasheet"

[operators]
has = ["convolution", "Sigmoid"]
largest_kernel = 5
source = "its manual"
"""


def board(folder: Path, text: str = BOARD) -> Path:
    path = folder / "my_board.toml"
    path.write_text(text)
    return path


def test_a_dozen_common_devices_come_along_each_fact_with_its_source() -> None:
    assert len(DEVICES) >= 12
    for name, profile in DEVICES.all().items():
        assert profile.name == name
        assert profile.operators == Operators() or profile.operators_source
        for memory in (profile.ram, profile.flash):
            assert memory is None or (memory.source and memory.left > 0)


@pytest.mark.parametrize("name", [*DEVICES])
def test_a_profile_comes_back_from_json(name: str) -> None:
    profile = DEVICES.get(name)
    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile


def test_a_file_of_a_user_is_read_as_it_stands(tmp_path: Path) -> None:
    found = find(str(board(tmp_path)))
    assert found == Profile(
        "my-board",
        "A board",
        "A runtime",
        clock="100 MHz",
        ram=Memory(65536, 10000, "its datasheet", 1.5, 8, 100),
        operators=Operators(("convolution", "Sigmoid"), largest_kernel=5),
        operators_source="its manual",
    )
    assert Profile.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_a_network_takes_is_maps_times_factor_and_the_records_of_its_operations(
    tmp_path: Path,
) -> None:
    taken = find(str(board(tmp_path))).taken(1000, 5000, Tally(5000, 20, 7))
    assert (taken.ram, taken.flash) == (1500 + 8 * 20 + 100 * 7, 5000)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('clock = "100 MHz"', 'clok = "100 MHz"', "unknown key clok"),
        ('clock = "100 MHz"', 'clock = "fast"', 'clock must be text like "216 MHz"'),
        ('title = "A board"\n', "", "the key title is missing"),
        ('name = "my-board"', 'name = "My Board"', "name must be"),
        ('name = "my-board"', "name = 3", "name must be a line of text"),
        ('"64 KiB"', '"64 KB"', 'ram.total must be text like "320 KiB" or "1 MB", not \'64 KB\''),
        ('"64 KiB"', "65536", "ram.total must be"),
        ('"64 KiB"', '"9 kB"', "ram.taken must be less than ram.total"),
        ("factor = 1.5", "factor = 0.5", "ram.factor must be from 1 to 10"),
        ("factor = 1.5", 'factor = "x"', "ram.factor must be a number"),
        ("channel = 8", "channel = true", "ram.channel must be a whole number"),
        ("channel = 8", "chanel = 8", "unknown key ram.chanel"),
        ('source = "its datasheet"\n', "", "the key ram.source is missing"),
        ('"Sigmoid"', '"grouped"', "operators.has must be of convolution"),
        ("largest_kernel = 5", "largest_kernel = 0", "operators.largest_kernel must be from 1"),
        ("[ram]", "[[ram]]", "ram must be a table, [ram]"),
        ("[ram]", "[ram", "is no TOML"),
    ],
)
def test_a_wrong_file_is_one_line_with_the_file_and_the_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = board(tmp_path, BOARD.replace(old, new, 1))
    with pytest.raises(ProfileError) as refused:
        find(str(path))
    assert str(refused.value).startswith(f"{path}")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_device_and_a_missing_file_are_refused() -> None:
    with pytest.raises(ProfileError, match=r"unknown device 'esp32-s4'.*esp32-s3"):
        find("esp32-s4")
    with pytest.raises(ProfileError, match=r"cannot read none\.toml"):
        find("none.toml")


@pytest.mark.parametrize("data", [None, [], {}, {"ram": 1}, {"name": "x"}])
def test_what_a_database_holds_instead_of_a_profile_is_refused(data: object) -> None:
    with pytest.raises(ProfileError):
        Profile.from_json(data)
    changed = DEVICES.get("pico").to_json() | {"title": "\x1b[31m"}
    with pytest.raises(ProfileError, match="title must be a line of text"):
        Profile.from_json(changed)


def test_operators_say_what_a_runtime_has_not() -> None:
    has = Operators((CONVOLUTION, GROUPED), largest_kernel=3, most_groups=4)
    operations = [
        convolution(8, 8, 3),
        convolution(8, 8, 5),
        convolution(8, 8, 3, 4),
        convolution(16, 16, 3, 8),
        convolution(8, 8, 3, 8),
        Operation("Sigmoid"),
        Operation("Sigmoid"),
    ]
    assert has.obstacles(operations) == (
        "no kernel of 5×5",
        "no 8 groups",
        "no depthwise convolution",
        "no Sigmoid",
    )
    assert replace(has, has=None, most_groups=None, largest_kernel=None) == Operators()
    assert not Operators().obstacles(operations)


def test_the_command_lists_them_and_shows_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["devices", *arguments])
        assert main() == 0
        return capsys.readouterr().out

    assert all(name in told() for name in DEVICES)
    assert "no limit" in told(str(board(tmp_path)))
    assert "kernels of up to 5×5" in told(str(board(tmp_path)))
