"""The checks of a row before anything uses it, and before it is written.

SQLite stores any value in any column, and a database may come from anyone: its texts are printed,
and its numbers decide what is built and how much memory that takes.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nas_space.devices import Profile, ProfileError
from nas_space.errors import ConvnasError
from nas_space.pictures import BITS
from studies.records.tables import Base, Evaluation, Export, Retraining, Status, Study
from trainers.evaluators import by_recipe
from trainers.recipes import BALANCES

Check = Callable[[Any], bool]
Row = TypeVar("Row", bound=Base)


class InvalidRowError(ConvnasError):
    """A row that no search has written."""


def validated(row: Row, *, new: bool = False) -> Row:
    """The row itself, if all its values are valid.

    Args:
        row: of any table that is checked.
        new: whether the database has yet to give it its number.

    Raises:
        InvalidRowError: it has a value that no search writes.
    """
    table = row.__tablename__
    for place, check in _CHECKS[type(row)].items():
        if new and place == "number":
            continue
        value = _value(row, place)
        if not check(value):
            raise InvalidRowError(f"a row of {table} has {_short(value)} as its {place}")
    if isinstance(row, Evaluation) and row.status is Status.FINISHED and row.val_accuracy is None:
        raise InvalidRowError(f"a row of {table} has finished without a val_accuracy")
    if isinstance(row, Evaluation | Retraining | Export):
        value = row.val_accuracy
        if not (value is None or by_recipe(row.recipe).holds(value)):
            raise InvalidRowError(f"a row of {table} has {_short(value)} as its val_accuracy")
    return row


def _value(row: Base, place: str) -> object:
    """The value of a column, or of a field of its JSON object; None if there is none."""
    column, _, field = place.partition(".")
    value: object = getattr(row, column)
    if not field:
        return value
    return value.get(field) if isinstance(value, dict) else None


def _short(value: object) -> str:
    said = repr(value)
    return said if len(said) < 60 else f"{said[:60]}…"  # noqa: PLR2004 - fits a line


def _text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _any_text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(value: object) -> bool:
    return _count(value) and value != 0


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _above_zero(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0


def _share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _shape(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_positive, value))  # noqa: PLR2004


def _reading(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"bits", "max_pixels", "earlier"}
        and _positive(value["bits"])
        and value["bits"] <= BITS
        and _positive(value["max_pixels"])
        and _flag(value["earlier"])
    )


def _largest(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"name", "share", "unequal"}
        and _text(value["name"])
        and _share(value["share"])
        and _flag(value["unequal"])
    )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_text, value)) and all(map(_number, value.values()))


def _answers(value: object) -> bool:
    """Whether it is what `Answers.to_json` gives, as JSON."""
    names = ("images", "right", "answered")
    if not isinstance(value, dict) or value.keys() != {*names, "mistakes"}:
        return False
    counts, mistakes = [value[name] for name in names], value["mistakes"]
    if not all(isinstance(each, list | tuple) and all(map(_count, each)) for each in counts):
        return False
    classes = len(counts[0])
    return (
        {len(each) for each in counts} == {classes}
        and sum(counts[0]) > 0
        and all(n <= min(pair) for n, *pair in zip(counts[1], counts[0], counts[2], strict=True))
        and isinstance(mistakes, list | tuple)
        and all(isinstance(each, list | tuple) and len(each) == 3 for each in mistakes)  # noqa: PLR2004
        and all(all(map(_count, each)) and max(each[:2]) < classes for each in mistakes)
    )


def _device(value: object) -> bool:
    """Whether it is what `Profile.to_json` gives."""
    try:
        Profile.from_json(value)
    except ProfileError:
        return False
    return True


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


_CHECKS: Mapping[type[Base], Mapping[str, Check]] = {
    Study: {
        "name": _text,
        "space.name": _text,
        "dataset.name": _text,
        "dataset.fingerprint": _text,
        "dataset.image_size": _maybe(_positive),
        "dataset.subset": _maybe(_positive),
        "dataset.val_subset": _maybe(_positive),
        "dataset.reading": _maybe(_reading),
        "dataset.val_images": _maybe(_positive),
        "dataset.largest": _maybe(_largest),
        "dataset.flip": _flag,
        "dataset.data_dir": _maybe(_any_text),
        "dataset.shape": _shape,
        "dataset.classes": _maybe(_texts),
        "recipe.name": _text,
        "recipe.epochs": _positive,
        "recipe.evaluate": _maybe(_text),
        "recipe.resolution": _maybe(_share),
        "recipe.balance": lambda value: value is None or value in BALANCES,
        "command": _any_text,
        "objective": _text,
        "objective_device": _maybe(_any_text),
        "device": _maybe(_device),
    },
    Evaluation: {
        "number": _count,
        "key": _text,
        "architecture": lambda value: isinstance(value, dict),
        "space": _text,
        "seed": _count,
        "recipe": _text,
        "epochs": _positive,
        "start": _count,
        "cost": _above_zero,
        "params": _positive,
        "macs": _positive,
        "activation_memory": _maybe(_positive),
        "latency": _maybe(_number),
        "latency_device": _maybe(_any_text),
        "costs": _maybe(_numbers),
        "val_accuracy": _maybe(_number),
        "balanced_accuracy": _maybe(_share),
        "answers": _maybe(_answers),
        "seconds": _maybe(_number),
        "error": _maybe(_any_text),
    },
    Export: {
        "recipe": _text,
        "epochs": _positive,
        "seed": _count,
        "val_accuracy": _number,
        "test_accuracy": _share,
        "balanced_accuracy": _maybe(_share),
        "answers": _maybe(_answers),
        "weights": _text,
        "test_images": _maybe(_text),
    },
    Retraining: {
        "recipe": _text,
        "epochs": _positive,
        "seed": _count,
        "val_accuracy": _maybe(_number),
        "answers": _maybe(_answers),
        "train_loss": _maybe(_number),
        "seconds": _maybe(_number),
        "error": _maybe(_any_text),
    },
}
