"""Studies, architectures and evaluations to put into stores."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from studies.records.tables import Evaluation, Status, Study

TASK = Task(channels=1, size=(8, 8), classes=10)
SMALL_PHOTO = replace(
    get("photo"), widths=((4, 8), (8, 16), (12,)), depths=(1, 2), heads=(0, 24), most_hidden=64
)
"""The space of photographs without its wide networks."""


def study(name: str = "s", **changes: object) -> Study:
    parts: dict[str, Any] = {
        "space": get("mixed").to_json(),
        "dataset": {
            "name": "digits",
            "fingerprint": "f",
            "image_size": None,
            "subset": None,
            "flip": False,
            "data_dir": None,
            "shape": [1, 8, 8],
            "classes": [str(digit) for digit in range(10)],
        },
        "recipe": {"name": "quick", "epochs": 6},
        "objective": "macs",
        "objective_device": None,
        "command": "python -m searchers.run --space mixed --budget 200",
    }
    return Study(name=name, **(parts | changes))


def architecture(number: int) -> Architecture:
    """A different one for every number up to several hundred."""
    space = get("mixed")
    labels = {}
    for parameter in space.parameters:
        number, choice = divmod(number, len(parameter.labels))
        labels[parameter.name] = parameter.labels[choice]
    return space.decode(labels)


def evaluation(owner: Study, number: int, accuracy: float | None, **changes: object) -> Evaluation:
    found = architecture(number)
    cost = predict(found, TASK)
    parts: dict[str, Any] = {
        "study_id": owner.id,
        "number": number,
        "key": found.key,
        "architecture": found.to_json(),
        "space": "mixed",
        "seed": 0,
        "recipe": "quick",
        "epochs": 6,
        "start": 0,
        "params": cost.params,
        "macs": cost.macs,
        "cost": changes.get("macs", cost.macs),
        "val_accuracy": accuracy,
        "train_loss": 0.5,
        "seconds": 1.5,
        "device": "cpu",
        "status": Status.FAILED if accuracy is None else Status.FINISHED,
        "error": "RuntimeError: out of memory" if accuracy is None else None,
        "versions": {"torch": "2"},
        "created_at": datetime.now(UTC),
    }
    return Evaluation(**(parts | changes))
