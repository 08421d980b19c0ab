"""What a row must be before anything is made of it.

SQLite keeps any value in any column, and a database may come from anyone: its texts are printed,
its numbers decide what is built and how much memory that takes.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from studies.records import Base, Evaluation, Export, Status, Study

Check = Callable[[Any], bool]
Row = TypeVar("Row", bound=Base)


class UnsoundRowError(ValueError):
    """A row that no search has written."""


def sound(row: Row) -> Row:
    """The row itself.

    Raises:
        UnsoundRowError: a column holds what it never should.
    """
    for column, check in _CHECKS[type(row)].items():
        value = getattr(row, column)
        if not check(value):
            raise UnsoundRowError(
                f"{row.__tablename__} has a row whose {column} is {_short(value)}"
            )
    if isinstance(row, Evaluation) and row.status is Status.FINISHED and row.val_accuracy is None:
        raise UnsoundRowError(f"{row.__tablename__} has a finished row without val_accuracy")
    return row


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


def _share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _shape(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_positive, value))  # noqa: PLR2004


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _fields(**checks: Check) -> Check:
    """A JSON object with these fields, at least."""
    return lambda value: (
        isinstance(value, dict)
        and all(field in value and check(value[field]) for field, check in checks.items())
    )


_CHECKS: Mapping[type[Base], Mapping[str, Check]] = {
    Study: {
        "name": _text,
        "space": _fields(name=_text),
        "dataset": _fields(
            name=_text,
            fingerprint=_text,
            image_size=_maybe(_positive),
            subset=_maybe(_positive),
            flip=_flag,
            data_dir=_maybe(_any_text),
            shape=_shape,
        ),
        "recipe": _fields(name=_text, epochs=_positive),
        "command": _any_text,
    },
    Evaluation: {
        "number": _count,
        "key": _text,
        "architecture": lambda value: isinstance(value, dict),
        "space": _text,
        "seed": _count,
        "recipe": _text,
        "epochs": _positive,
        "params": _positive,
        "macs": _positive,
        "val_accuracy": _maybe(_share),
        "seconds": _maybe(_number),
        "error": _maybe(_any_text),
    },
    Export: {
        "recipe": _text,
        "epochs": _positive,
        "seed": _count,
        "val_accuracy": _share,
        "test_accuracy": _share,
        "weights": _text,
    },
}
