"""What is checked and said before a search."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas_space.errors import ConvnasError
from searchers.search import describe
from searchers.setup import set_up, unequal
from searchers.terminal.arguments import read
from studies.objective import metric_of
from studies.records.store import Store
from studies.records.validation import InvalidRowError, validated
from trainers.data.registry import load
from trainers.data.splits import Images, SearchData
from trainers.evaluators import EvaluatorError
from trainers.recipes import RECIPES, Recipe

QUICK = RECIPES.get("quick")
VAL = (
    "always saying 'cat', the largest class, is right for 75.00% of the validation images: "
    "--metric balanced-accuracy, or macro-f1, counts all classes alike"
)
TRAIN = (
    "'cat' has 3 times the training images of 'dog': --balance sampling, or weights, makes up "
    "for it"
)


def pair(train: tuple[int, int], val: tuple[int, int]) -> SearchData:
    """Cats and dogs, so many of each."""

    def images(counts: tuple[int, int]) -> Images:
        labels = np.repeat([0, 1], counts)
        return Images(np.zeros((len(labels), 8, 8, 1), np.uint8), labels)

    return SearchData("x", ("cat", "dog"), images(train), images(val), (0.0,), (1.0,), flip=False)


@pytest.mark.parametrize(
    ("recipe", "lines"),
    [
        (QUICK, [VAL, TRAIN]),
        (replace(QUICK, balance="weights"), [VAL]),
        (replace(QUICK, metric="macro-f1"), [TRAIN]),
        (replace(QUICK, metric="balanced-accuracy", balance="sampling"), []),
        (QUICK.judged_by("my_judge:top2"), []),
    ],
)
def test_unequal_classes_are_told_with_what_helps(recipe: Recipe, lines: list[str]) -> None:
    assert list(unequal(pair((12, 4), (6, 2)), recipe)) == lines


def test_each_split_is_told_of_alone() -> None:
    assert list(unequal(pair((12, 4), (5, 4)), QUICK)) == [TRAIN]
    assert list(unequal(pair((5, 4), (6, 2)), QUICK)) == [VAL]
    assert list(unequal(load("digits").search, QUICK)) == []


def test_a_function_of_the_users_own_balances_by_itself() -> None:
    argv = ["--space", "xception", "--budget", "1", "--balance", "weights"]
    with pytest.raises(EvaluatorError, match="--evaluate trains by itself: leave out --balance we"):
        set_up(read([*argv, "--evaluate", "my_judge:top2"]))


def test_what_is_asked_for_unequal_classes_is_in_the_recipe_and_the_name(tmp_path: Path) -> None:
    argv = ["--space", "xception", "--budget", "1", "--metric", "macro-f1", "--balance", "sampling"]
    settings = read(argv)
    setup = set_up(settings)
    assert setup.recipe == replace(QUICK, metric="macro-f1", balance="sampling")
    made = describe(settings, setup)
    assert made.name == "xception-digits-quick6-macro-f1-sampling-seed0"
    store = Store(f"sqlite:///{tmp_path}/studies.db", create=True)
    assert store.enter(made).recipe["balance"] == "sampling"
    assert metric_of(made).name == "macro-F1"
    made.recipe["balance"] = "magic"
    with pytest.raises(InvalidRowError, match=r"has 'magic' as its recipe.balance"):
        validated(made)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--runtime", "onnxruntime"], "add --max-latency or --objective latency"),
        (["--latency-threads", "1"], "add --max-latency or --objective latency"),
        (["--max-latency", "1ms", "--latency-threads", "4000"], "this machine has [0-9]+ cores"),
        (
            ["--max-latency", "1ms", "--runtime", "onnx"],
            "known runtimes: torch, onnxruntime, onnxruntime-int8",
        ),
    ],
)
def test_how_latencies_are_measured_is_refused_where_it_says_nothing(
    options: list[str], complaint: str
) -> None:
    with pytest.raises(ConvnasError, match=complaint):
        set_up(read(["--space", "regular", "--budget", "2", *options]))
