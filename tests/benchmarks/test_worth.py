"""Found and hand-designed networks side by side: the whole benchmark, on very little."""

import contextlib
import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.worth.__main__ import Runner, SettingError
from benchmarks.worth.setting import (
    FRESH_SEEDS,
    SETTINGS,
    SHORTLISTED,
    Setting,
    best,
    scaled,
    shortlist,
)
from benchmarks.worth.table import rows
from nas_space.costs.cost import predict
from nas_space.errors import ConvnasError
from nas_space.spaces.residual import ResidualArchitecture
from nas_space.spaces.residual.families import FAMILIES, Family


@pytest.mark.parametrize(
    "setting",
    [setting for setting in SETTINGS.values() if not setting.timed],
    ids=lambda setting: setting.name,
)
def test_a_family_is_scaled_until_the_next_width_is_above_the_level(setting: Setting) -> None:
    for macs in setting.levels:
        for family in setting.families.families:
            network = scaled(family, macs, setting.task)
            assert network is not None
            assert 0.5 * macs < predict(network, setting.task).macs <= macs
            wider = next(wider_than(network.stages[0].narrow, family))
            assert predict(wider, setting.task).macs > macs


def wider_than(width: int, family: Family) -> Iterator[ResidualArchitecture]:
    for wider in range(width + 1, 1000):
        with contextlib.suppress(ConvnasError):
            yield ResidualArchitecture.of(family, wider)


def test_the_best_is_chosen_by_its_mean_among_those_with_all_seeds() -> None:
    narrow, middle, wide = (ResidualArchitecture(FAMILIES[0].stages(w)) for w in (4, 6, 8))
    seen = [(narrow, 0, 0.5), (narrow, 1, 0.6), (middle, 0, 0.7), (middle, 1, 0.3), (wide, 0, 0.9)]
    lines = [
        {"job": f"short16/choice/1/hand/{made.key}/{seed}", "val": val, "architecture": data}
        for made, seed, val in seen
        for data in [made.to_json()]
    ]
    assert best(lines, "short16/choice/1/hand/", 2) == narrow
    assert best(lines, "short16/choice/1/found/", 2) is None


def test_the_first_seeds_decide_who_gets_more_and_all_of_them_who_is_chosen() -> None:
    vals = {4: [0.5, 0.5], 6: [0.7, 0.7, 0.1, 0.1, 0.1], 8: [0.6, 0.6, 0.6, 0.6, 0.6], 10: [0.9]}
    networks = {width: ResidualArchitecture(FAMILIES[0].stages(width)) for width in vals}
    prefix = "short16/choice/1/found/"
    lines = [
        {"job": f"{prefix}{width}/{500 + n}", "val": val, "architecture": networks[width].to_json()}
        for width, row in vals.items()
        for n, val in reversed(list(enumerate(row)))
    ]
    assert shortlist(lines, prefix, 2) == [(f"{prefix}{w}", networks[w]) for w in (6, 8, 4)]
    assert best(lines, prefix, 2) == networks[8]


@pytest.mark.slow
def test_the_whole_comparison_is_resumed_and_told(tmp_path: Path) -> None:
    macs, output = 105_000, tmp_path / "worth.jsonl"
    setting = dataclasses.replace(SETTINGS["digits"], epochs=1, budget=16, levels=(macs,))
    for _ in range(2):  # the second time nothing is left to do
        runner = Runner(setting, "digits", output, end=math.inf)
        runner.level(macs, {"bayes": runner.search(macs, "bayes", tmp_path / "worth.db")})
        lines = [json.loads(text) for text in output.read_text().splitlines()]
        jobs = [line["job"] for line in lines]
        assert len(set(jobs)) == len(jobs)
        more = SHORTLISTED * setting.shortlist_seeds
        assert sum("/hand/" in job for job in jobs) == 2 * len(FAMILIES) + more + FRESH_SEEDS
        tested = [line for line in lines if "test" in line]
        assert len(tested) == 2 * FRESH_SEEDS
        assert all(line["macs"] <= macs for line in lines if "macs" in line)
        # A later sitting has the lines alone.
        for file in tmp_path.glob("worth.db*"):
            file.unlink()
    (row,) = rows(lines, setting)
    shown = row.cells(comparisons=1)
    assert shown.startswith(f"| 105k | {row.family} | ")
    assert shown.count("(n = 5)") == 2
    assert f"{row.gain:+.1f} ± {row.half():.1f}" in shown
    assert row.half(comparisons=5) > row.half()


def test_a_setting_that_searches_nothing_takes_what_another_one_has_found(tmp_path: Path) -> None:
    networks = [ResidualArchitecture(FAMILIES[0].stages(width)) for width in range(4, 4 + 12)]
    output = tmp_path / "worth.jsonl"
    runner = Runner(SETTINGS["long16"], "none", output, end=math.inf)
    with pytest.raises(SettingError, match="run --setting short16 first"):
        runner.search(300_000, "bayes", tmp_path / "none.db")
    with output.open("w") as file:
        for network, seed in itertools.product(networks, (500, 501)):
            job = f"short16/choice/300000/found/{network.key}/{seed}"
            line = {"job": job, "val": 0.5, "architecture": network.to_json()}
            file.write(json.dumps(line) + "\n")
    runner = Runner(SETTINGS["long16"], "none", output, end=math.inf)
    assert runner.search(300_000, "bayes", tmp_path / "none.db") == networks


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_networks_are_compared_at_a_latency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.worth.setting.WIDTHS", (4, 8))
    output, level = tmp_path / "worth.jsonl", 60
    setting = dataclasses.replace(SETTINGS["digits"], timed=True, epochs=1, levels=(level,))
    runner = Runner(setting, "digits", output, end=math.inf)
    found = [ResidualArchitecture(FAMILIES[0].stages(width)) for width in (6, 64)]
    runner.level(level, {"bayes": runner.within(found, level)})
    lines = [json.loads(text) for text in output.read_text().splitlines()]
    timed = {line["job"]: line["us"] for line in lines if "/latency/" in line["job"]}
    assert len(timed) > len(FAMILIES)
    assert max(timed.values()) > level  # of the widest one
    trained = [line for line in lines if "val" in line]
    assert all(line["us"] <= level for line in trained)
    (row,) = rows(lines, setting)
    assert row.cells(1, setting.told).startswith(f"| {level} µs | {row.family} | ")
    assert 0 < row.used["found"] <= level
