"""Images that a function of the user's own gives."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from trainers.data.registry import load
from trainers.data.splits import DatasetError, Subset

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(60) % 3
GOOD: dict[str, Any] = {"classes": ["a", "b", "c"], "train": (PIXELS, LABELS)}


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """Makes a function give something."""
    module = ModuleType("images_of_mine")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def as_given(what: object) -> str:
        module.function = lambda: what  # type: ignore[attr-defined]
        return f"{module.__name__}:function"

    return as_given


def test_all_images_are_there_once_and_unchanged(offer: Any) -> None:  # noqa: ANN401
    data = load(offer(GOOD))
    parts = [data.search.train, data.search.val, data.open_test()]
    together = np.concatenate([part.pixels for part in parts])
    assert sorted(image.tobytes() for image in together) == sorted(i.tobytes() for i in PIXELS)
    assert data.search.shape == (3, 6, 5)
    assert data.search.classes == ("a", "b", "c")
    assert data.search.flip
    for part in parts:
        for image, label in zip(part.pixels, part.labels, strict=True):
            (at,) = np.flatnonzero((image == PIXELS).all(axis=(1, 2, 3)))
            assert LABELS[at] == label


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"flip": "no"}, r"flip must be True or False, not 'no'"),
        (
            {"train": (PIXELS[:, :5].transpose(0, 3, 1, 2), LABELS)},
            r"of shape \(60, 3, 5, 5\): put the channels last, with pixels.transpose\(0, 2, 3, 1\)",
        ),
        ({"train": (np.zeros_like(PIXELS), LABELS)}, "all training images are alike"),
    ],
)
def test_what_would_train_nothing_is_refused(
    offer: Any,  # noqa: ANN401
    change: dict[str, Any],
    said: str,
) -> None:
    with pytest.raises(DatasetError, match=said):
        load(offer(GOOD | change))


def test_splits_that_are_given_stay(offer: Any) -> None:  # noqa: ANN401
    grey = PIXELS[..., 0]
    given = GOOD | {
        "train": (grey[:40], LABELS[:40]),
        "val": (grey[40:50], LABELS[40:50]),
        "test": (grey[50:], LABELS[50:]),
        "flip": False,
    }
    data = load(offer(given), subset=Subset(20, 10))
    assert data.search.shape == (1, 6, 5)
    assert not data.search.flip
    assert len(data.search.train) == 20
    assert np.array_equal(data.search.val.pixels[..., 0], grey[40:50])
    assert np.array_equal(data.open_test().pixels[..., 0], grey[50:])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "the function must return a mapping with classes and train"),
        ({"train": (PIXELS, LABELS)}, "a mapping with classes and train"),
        (GOOD | {"validation": 3}, "it gives validation, and only classes, train, val, test, flip"),
        (GOOD | {"classes": ["a", "a", "b"]}, "two classes have the same name"),
        (GOOD | {"classes": 3}, "classes must be a list of names"),
        (GOOD | {"classes": "abc"}, "classes must be a list of names"),
        (GOOD | {"classes": ["a", "b", "c\n"]}, "a class has a name that cannot be printed"),
        (GOOD | {"train": ([[1, 2], [3]], LABELS)}, "the pixels or the labels of train are no"),
        (GOOD | {"train": PIXELS}, "train must be a pair of pixels and labels"),
        (GOOD | {"train": (PIXELS / 255, LABELS)}, "must be uint8 of shape (N, H, W) or"),
        (GOOD | {"train": (PIXELS[0, 0], LABELS)}, "not uint8 of shape (5, 3)"),
        (GOOD | {"train": (PIXELS[:0], LABELS[:0])}, "not uint8 of shape (0, 6, 5, 3)"),
        (GOOD | {"train": (PIXELS, LABELS[:9])}, "must be whole numbers of shape (60,), not"),
        (GOOD | {"train": (PIXELS, LABELS / 2)}, "not float64 of shape (60,)"),
        (GOOD | {"train": (PIXELS, LABELS + 1)}, "must be from 0 to 2, not 1 to 3"),
        (GOOD | {"val": (PIXELS[:, :3], LABELS)}, "images of different shapes"),
        (GOOD | {"classes": ["a"], "train": (PIXELS, LABELS * 0)}, "has one class"),
    ],
)
def test_anything_else_is_refused_in_one_line(offer: Any, given: object, said: str) -> None:  # noqa: ANN401
    with pytest.raises(DatasetError) as refusal:
        load(offer(given))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_function_that_fails_or_is_none_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"nothing_there cannot be imported \(ModuleNotFound"):
        load("nothing_there:function")
    with pytest.raises(DatasetError, match="digits is nothing in trainers"):
        load("trainers.data.arrays:digits")
    with pytest.raises(DatasetError, match=r"the function failed \(TypeError: "):
        load("trainers.data.splits:make_dataset")
    with pytest.raises(DatasetError, match="--image-size resizes folders of images, and of tables"):
        load("trainers.data.splits:make_dataset", image_size=8)
