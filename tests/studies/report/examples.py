"""Studies to report on, without a database."""

import random
from datetime import UTC, datetime, timedelta

from nas_space.costs.cost import predict
from nas_space.spaces.registry import get
from studies.analysis.facts import Facts
from studies.records.tables import Evaluation, Study
from tests.examples import TASK, evaluation, study

BEGAN = datetime(2026, 1, 2, 3, tzinfo=UTC)


def owner(name: str = "s", **changes: object) -> Study:
    classes = {"classes": [str(digit) for digit in range(10)]}
    return study(name, dataset=study().dataset | classes, id=1, **changes)


def trained(count: int, *, failing: float = 0.05, full: float = 0.5) -> list[Evaluation]:
    """So many evaluations of random networks, some partial and some failed."""
    chance, space, shown = random.Random(0), get("mixed@2"), owner()
    found = []
    for number in range(count):
        network = space.decode({p.name: chance.choice(p.labels) for p in space.parameters})
        cost = predict(network, TASK)
        accuracy = min(0.99, 0.3 + 0.1 * len(str(cost.macs)) + chance.gauss(0, 0.02))
        found.append(
            evaluation(
                shown,
                number,
                None if chance.random() < failing else accuracy,
                id=number + 1,
                key=network.key,
                architecture=network.to_json(),
                macs=cost.macs,
                params=cost.params,
                epochs=6 if chance.random() < full else 2,
                created_at=BEGAN + timedelta(seconds=number),
            )
        )
    return found


def facts(evaluations: list[Evaluation], shown: Study | None = None) -> Facts:
    return Facts(shown or owner(), evaluations, [], "sqlite:///convnas.db")
