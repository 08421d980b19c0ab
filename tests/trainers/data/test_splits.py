"""Splits are fixed, stratified and disjoint; a search cannot see test."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from trainers.data import digits
from trainers.data.registry import load
from trainers.data.splits import (
    Dataset,
    DatasetError,
    SearchData,
    Subset,
    make_dataset,
    moments,
    split_positions,
)


def numbered(
    counts: list[int], splits: tuple[str, ...] = ("train",)
) -> tuple[dict[str, NDArray[np.int64]], Callable[[str, NDArray[np.int64]], NDArray[np.uint8]]]:
    """Labels, and a decoder whose pixels tell split and position."""
    labels = np.repeat(np.arange(len(counts)), counts)

    def decode(split: str, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        pixels = np.stack([positions // 256, positions % 256, np.full(len(positions), len(split))])
        return pixels.T.astype(np.uint8).reshape(-1, 1, 1, 3)

    return dict.fromkeys(splits, labels), decode


@given(st.lists(st.integers(10, 80), min_size=2, max_size=6))
def test_carved_splits_are_disjoint_complete_and_keep_the_classes_shares(counts: list[int]) -> None:
    labels, _ = numbered(counts)
    splits = {name: positions for name, (_, positions) in split_positions(labels, None).items()}
    everything = np.concatenate(list(splits.values()))
    assert sorted(everything) == list(range(sum(counts)))
    for name, share in (("test", 0.2), ("val", 0.16)):
        for label, count in enumerate(counts):
            found = (labels["train"][splits[name]] == label).sum()
            assert abs(found - share * count) <= 2


def test_splits_are_the_same_every_time_and_subsets_are_parts_of_them() -> None:
    labels, _ = numbered([400, 400, 400])
    whole, again = split_positions(labels, None), split_positions(labels, None)
    part = split_positions(labels, Subset.of(100, 30))
    for name in ("train", "val", "test"):
        assert np.array_equal(whole[name][1], again[name][1])
        assert set(part[name][1]) <= set(whole[name][1])
    assert len(part["train"][1]) == 100
    assert len(part["val"][1]) == 30
    assert np.array_equal(part["test"][1], whole["test"][1])


def test_a_subset_validates_on_as_many_images_as_it_trains_on() -> None:
    assert Subset.of(5000) == Subset(5000, 5000)
    assert Subset.of(100) == Subset(100, 250)
    assert Subset.of(5000, 30) == Subset(5000, 30)
    assert (Subset.earlier(5000), Subset.earlier(100)) == (Subset(5000, 1250), Subset(100, 250))
    labels, _ = numbered([400, 400, 400])
    whole, part = split_positions(labels, None), split_positions(labels, Subset.of(500))
    assert np.array_equal(part["val"][1], whole["val"][1]), "there are no more"


def test_splits_that_a_data_set_brings_are_kept() -> None:
    labels, _ = numbered([30, 30], ("train", "val", "test"))
    splits = split_positions(labels, None)
    assert {name: (source, len(at)) for name, (source, at) in splits.items()} == {
        "train": ("train", 60),
        "val": ("val", 60),
        "test": ("test", 60),
    }


def test_a_search_decodes_no_test_image() -> None:
    labels, decode = numbered([50, 50], ("train", "test"))
    decoded = []

    def watched(split: str, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        decoded.append(split)
        return decode(split, positions)

    dataset = make_dataset("numbers", ("a", "b"), labels, watched, flip=False)
    assert "test" not in decoded
    assert "test" not in SearchData.__annotations__
    assert len(dataset.open_test()) == 100
    assert decoded[-1] == "test"


def test_mean_and_deviation_are_those_of_the_training_images() -> None:
    data = load("digits").search
    pixels = data.train.pixels / 255
    assert data.mean == pytest.approx([pixels.mean()])
    assert data.std == pytest.approx([pixels.std()])


def test_digits_are_read_as_scikit_learn_reads_them() -> None:
    assert np.array_equal(digits._table(), digits._table_by_sklearn())


def test_digits_are_real_and_their_splits_known() -> None:
    dataset = load("digits")
    data = dataset.search
    assert (len(data.train), len(data.val), len(dataset.open_test())) == (1151, 287, 359)
    assert data.shape == (1, 8, 8)
    assert data.classes == tuple("0123456789")
    assert dataset.fingerprint == load("digits").fingerprint


def test_the_fingerprint_changes_with_a_single_pixel_and_with_a_class_name() -> None:
    labels, decode = numbered([20, 20])

    def made(classes: tuple[str, ...], change: int) -> Dataset:
        return make_dataset("n", classes, labels, lambda s, at: decode(s, at) + change, flip=False)

    prints = [made(("a", "b"), 0), made(("a", "b"), 0), made(("a", "b"), 1), made(("a", "c"), 0)]
    first, same, pixel, name = (dataset.fingerprint for dataset in prints)
    assert first == same
    assert len({first, pixel, name}) == 3


@pytest.mark.parametrize(
    ("counts", "reason"),
    [([20], "needs at least 2"), ([2, 2], "too few images"), ([30, 0], "class 'b'")],
)
def test_too_little_to_learn_from_is_refused(counts: list[int], reason: str) -> None:
    labels, decode = numbered(counts)
    classes = tuple("ab"[: len(counts)])
    with pytest.raises(DatasetError, match=reason):
        make_dataset("small", classes, labels, decode, flip=False)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(DatasetError, match=r"no data set 'mnist': give digits, cifar10, "):
        load("mnist")


def test_named_data_sets_are_not_resized() -> None:
    with pytest.raises(DatasetError, match="has a fixed size"):
        load("digits", image_size=16)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(3), st.just(2), st.integers(1, 3))),
)
def test_moments_are_those_of_the_pixels(pixels: NDArray[np.uint8]) -> None:
    mean, std = moments(pixels)
    flat = pixels.reshape(-1, pixels.shape[-1]) / 255
    assert mean == pytest.approx(flat.mean(axis=0), abs=1e-12)
    assert std == pytest.approx(np.maximum(flat.std(axis=0), 1e-3), abs=1e-12)
