"""What two studies of one name differ in, and how to ask for the parts of the first."""

from pathlib import Path
from typing import Any

import pytest

from nas_space.spaces.registry import get
from studies.records.database import StoreError
from studies.records.differences import differences
from studies.records.store import Store
from tests.examples import study
from trainers.recipes import RECIPES

QUICK = RECIPES.get("quick")
MIXED = get("mixed").to_json()
JUDGED: dict[str, Any] = {"recipe": QUICK.judged_by("my_judge:top2").to_json()}
DILATED: dict[str, Any] = {"space": MIXED | {"kinds": [*MIXED["kinds"], "dilated"]}}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            JUDGED,
            {"recipe": QUICK.to_json()},
            "(evaluate: 'my_judge:top2', now None); continue it with --evaluate my_judge:top2 ",
        ),
        (
            {"recipe": QUICK.to_json()},
            JUDGED,
            "continue it with --recipe quick --epochs 6 --study s, without --evaluate, or",
        ),
        (
            {"recipe": QUICK.to_json() | {"metric": "macro-f1", "balance": "weights"}},
            {"recipe": QUICK.to_json()},
            "--recipe quick --epochs 6 --study s --metric macro-f1 --balance weights, or",
        ),
        (
            {"recipe": QUICK.to_json()},
            {"recipe": QUICK.to_json() | {"balance": "sampling"}},
            "continue it with --recipe quick --epochs 6 --study s --balance none, or",
        ),
        (DILATED, {}, "continue it with --plugin MODULE that has dilated, or"),
        (
            {"space": MIXED | {"kinds": MIXED["kinds"][:-1]}},
            {},
            f"the same one, without the plugin that has {MIXED['kinds'][-1]}, or",
        ),
    ],
    ids=[
        "judged before",
        "judged now",
        "unequal before",
        "unequal now",
        "a type less",
        "a type more",
    ],
)
def test_it_is_told_how_to_ask_for_the_same(
    tmp_path: Path,
    first: dict[str, Any],
    second: dict[str, Any],
    said: str,
) -> None:
    store = Store(f"sqlite:///{tmp_path}/studies.db", create=True)
    store.enter(study(**first))
    with pytest.raises(StoreError) as refused:
        store.enter(study(**second))
    assert said in str(refused.value)


def test_other_images_come_first_because_a_digest_depends_on_them() -> None:
    before = study(**DILATED)
    after = study(dataset=before.dataset | {"fingerprint": "other"})
    assert list(differences(before, after)) == ["data set", "space"]


def test_a_function_of_the_users_own_knows_the_epochs_alone() -> None:
    full = RECIPES.get("full").judged_by("my_judge:top2").to_json() | {"epochs": 6}
    assert differences(study(**JUDGED), study(recipe=full)) == {}
