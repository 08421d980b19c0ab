"""Who goes up a rung, where some types learn slowly and end best."""

import random

import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.schedule.forecast import Forecast
from searchers.schedule.rungs import Promotion, RungResult, Rungs
from studies.records.tables import Study
from tests.examples import evaluation

TASK = Task(channels=3, size=(16, 16), classes=10)
PROBLEM = Problem(get("mixed"), TASK, Limits(), target=1e9)
FAST, SLOW = get("regular@2"), get("xception@2")
"""Networks of one type are ahead after 3 epochs, those of the other after 9."""
ACCURACIES = {"fast": {3: 0.4, 9: 0.5}, "slow": {3: 0.3, 9: 0.6}}


def networks(seed: int, count: int) -> list[tuple[str, Architecture]]:
    chance = random.Random(seed)
    return [
        (name, space.decode({p.name: chance.choice(p.labels) for p in space.parameters}))
        for _ in range(count)
        for name, space in (("fast", FAST), ("slow", SLOW))
    ]


def measured(name: str, architecture: Architecture, epochs: int) -> RungResult:
    # What else a network is made of makes a difference, too.
    other = random.Random(architecture.key).uniform(-0.01, 0.01)
    return RungResult(architecture.key, ACCURACIES[name][epochs] + other, 1.0)


def test_who_learns_slowly_goes_up_once_it_is_known_how_its_type_ends() -> None:
    forecast = Forecast(PROBLEM, 9)
    rungs = Rungs((3, 9), PROBLEM.octave, PROBLEM.judged, forecast.hopes)
    types = {}
    for number, (name, network) in enumerate(networks(0, 15)):
        types[network.key] = name
        for epochs in (3, 9) if number < 10 else (3,):
            result = measured(name, network, epochs)
            forecast.tell(network, epochs, result.val_accuracy or 0.0)
            rungs.tell(epochs, result)
    new = [types[promotion.key] for promotion in iter(lambda: promoted(rungs), None)]
    assert new
    assert set(new) == {"slow"}


def promoted(rungs: Rungs) -> Promotion | None:
    promotion = rungs.promotion()
    if promotion is not None:
        rungs.leave(promotion.key, promotion.epochs)
    return promotion


def test_with_few_trainings_the_accuracies_of_the_rung_count() -> None:
    forecast = Forecast(PROBLEM, 9)
    results = [measured(name, network, 3) for name, network in networks(1, 3)]
    for (_, network), result in zip(networks(1, 3), results, strict=True):
        forecast.tell(network, 3, result.val_accuracy or 0.0)
    assert forecast.hopes(results) == results


def test_what_an_earlier_run_has_measured_is_learnt() -> None:
    owner, told, read = Study(id=1), Forecast(PROBLEM, 9), Forecast(PROBLEM, 9)
    rows, results = [], []
    for number, (name, network) in enumerate(networks(2, 6)):
        epochs = 9 if number % 3 == 0 else 3
        result = measured(name, network, epochs)
        results.append(result)
        told.tell(network, epochs, result.val_accuracy or 0.0)
        rows.append(
            evaluation(
                owner, number, result.val_accuracy, epochs=epochs,
                key=network.key, architecture=network.to_json(),
            )
        )  # fmt: skip
    read.learn([*rows, evaluation(owner, 99, None)])
    assert read.hopes(results) == told.hopes(results)
    assert [hope.val_accuracy for hope in read.hopes(results)] != pytest.approx(
        [result.val_accuracy for result in results]
    )
