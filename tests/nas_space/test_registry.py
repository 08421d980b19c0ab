"""The laws of the registry, and that every kind of thing of the project is in one."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_space.convs import TYPES
from nas_space.errors import ConvnasError
from nas_space.papers import FAMILIES, NETWORKS
from nas_space.registry import Entry, Registry, given, imported
from nas_space.spaces.registry import SPACES
from nas_space.spaces.skeletons import SKELETONS, Skeleton
from searchers.samplers.registry import SAMPLERS
from studies.objective import OBJECTIVES
from trainers.data.registry import DATASETS
from trainers.recipes import RECIPES, Recipe
from trainers.scores import SCORES, scores

REGISTRIES: tuple[Registry[Any], ...] = (
    DATASETS,
    FAMILIES,
    NETWORKS,
    OBJECTIVES,
    RECIPES,
    SAMPLERS,
    SCORES,
    SKELETONS,
    SPACES,
    TYPES,
)
every_registry = pytest.mark.parametrize("registry", REGISTRIES, ids=lambda found: found.kind)

LIGHT = """
import sys
from nas_space import convs
from nas_space.spaces import skeletons
from nas_space.spaces import registry as spaces
from searchers.samplers import registry as samplers
from studies import objective
from trainers import recipes
for registry in (
    convs.TYPES,
    objective.OBJECTIVES,
    recipes.RECIPES,
    samplers.SAMPLERS,
    skeletons.SKELETONS,
    spaces.SPACES,
):
    assert all(name in registry for name in registry)
for skeleton in skeletons.SKELETONS.all().values():
    assert skeleton.kind.skeleton == skeleton.name
assert "torch" not in sys.modules
assert callable(skeletons.SKELETONS.get("residual").build)
assert "torch" in sys.modules
"""


class NoFruitError(ConvnasError):
    """A name that belongs to no fruit."""


def fruits(**options: Any) -> Registry[int]:  # noqa: ANN401
    """A registry of two, with their prices."""

    def found() -> Iterator[Entry[int]]:
        yield given("pear", 3, "orchard")
        yield given("apple", 2, "orchard")

    return Registry("fruit", NoFruitError, found=found, **options)


def test_a_thing_is_found_by_its_name_with_where_it_comes_from() -> None:
    registry = fruits()
    registry.register(given("fig", 7, "my_garden"))
    assert (registry.get("pear"), registry.source("pear")) == (3, "orchard")
    assert (registry.get("fig"), registry.source("fig")) == (7, "my_garden")
    assert "fig" in registry
    assert "plum" not in registry
    assert registry.all() == {"pear": 3, "apple": 2, "fig": 7}


def test_what_is_added_is_of_its_kind_and_has_one_name() -> None:
    registry = Registry("recipe", NoFruitError, holds=Recipe)
    with pytest.raises(NoFruitError, match=r"recipe 'long' must be added as Recipe\(…\), not as a"):
        registry.add("long", print)  # type: ignore[arg-type]
    with pytest.raises(NoFruitError, match="recipe 'long' has another name itself"):
        registry.add("long", RECIPES.get("quick"))
    registry.add("quick", RECIPES.get("quick"))
    assert registry.source("quick") == __name__


def test_names_come_in_the_order_of_registration_or_of_the_alphabet() -> None:
    registry, ordered = fruits(), fruits(alphabetical=True)
    for one in (registry, ordered):
        one.register(given("fig", 7, "my_garden"))
        assert len(one) == 3
    assert list(registry) == ["pear", "apple", "fig"]
    assert list(ordered) == list(ordered.all()) == ["apple", "fig", "pear"]


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({}, "plum", "unknown fruit 'plum'; known fruits: pear, apple"),
        ({}, "aple", "unknown fruit 'aple'; known fruits: pear, apple; did you mean apple?"),
        ({}, "Apple", "unknown fruit 'Apple'; known fruits: pear, apple; did you mean apple?"),
        ({}, "", "unknown fruit ''; known fruits: pear, apple"),
        ({}, "a\n{0}", "unknown fruit 'a\\n{0}'; known fruits: pear, apple"),
        ({"refusal": "no {name}; {near}a market has them"}, "kiwi", "no 'kiwi'; a market has them"),
        (
            {"refusal": "no {name}; {near}a market has them"},
            "apples",
            "no 'apples'; did you mean apple? a market has them",
        ),
    ],
)
def test_an_unknown_name_is_refused_in_one_line(
    options: dict[str, Any], name: str, message: str
) -> None:
    for refused in (fruits(**options).get, fruits(**options).source):
        with pytest.raises(NoFruitError) as caught:
            refused(name)
        assert str(caught.value) == message


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(NoFruitError) as caught:
        fruits().get("x" * 10**5)
    assert len(str(caught.value)) < 300


def test_a_name_is_taken_once() -> None:
    registry = fruits()
    with pytest.raises(NoFruitError, match="'pear' is registered twice, by orchard and by garden"):
        registry.register(given("pear", 1, "garden"))
    assert registry.get("pear") == 3


def test_what_is_found_is_looked_for_once_and_only_when_it_is_asked_for() -> None:
    calls = []

    def found() -> Iterator[Entry[int]]:
        calls.append(1)
        yield given("pear", 3, "orchard")

    registry = Registry("fruit", NoFruitError, found=found)
    assert calls == []
    assert registry.all() == {"pear": 3}
    assert "pear" in registry
    assert calls == [1]


def test_a_search_that_fails_leaves_nothing_half_done() -> None:
    broken = [True]

    def found() -> Iterator[Entry[int]]:
        yield given("pear", 3, "orchard")
        if broken:
            raise OSError("no orchard")

    registry = Registry("fruit", NoFruitError, found=found)
    for _ in range(2):
        with pytest.raises(OSError, match="no orchard"):
            registry.get("pear")
    broken.clear()
    assert registry.all() == {"pear": 3}


def test_an_import_string_is_imported_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "an_orchard.py").write_text("price = 5\n")
    registry = fruits()
    registry.register(imported("plum", "an_orchard:price"))
    assert list(registry) == ["pear", "apple", "plum"]
    assert registry.source("plum") == "an_orchard"
    assert "an_orchard" not in sys.modules
    assert registry.get("plum") == 5
    monkeypatch.delitem(sys.modules, "an_orchard")


@pytest.mark.parametrize("path", ["no_such_module:price", "math:price", "math"])
def test_an_import_that_fails_is_one_line(path: str) -> None:
    registry = fruits()
    registry.register(imported("plum", path))
    source = path.partition(":")[0]
    with pytest.raises(NoFruitError, match=f"'plum' cannot be imported from {source} .*reinstall"):
        registry.get("plum")


@every_registry
def test_every_kind_has_things_that_come_from_our_packages(registry: Registry[Any]) -> None:
    assert len(registry) == len(list(registry)) == len(registry.all()) > 0
    for name in registry:
        package = registry.source(name).partition(".")[0]
        assert package in {"nas_space", "trainers", "studies", "searchers"}


@every_registry
def test_every_kind_refuses_an_unknown_name_in_one_line(registry: Registry[Any]) -> None:
    with pytest.raises(ConvnasError, match="'nothing-like-it'") as caught:
        registry.get("nothing-like-it")
    assert type(caught.value) is not ConvnasError
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        (TYPES, lambda kind: kind.kind),
        (SKELETONS, lambda skeleton: skeleton.kind.skeleton),
        (SPACES, lambda space: space.name),
        (NETWORKS, lambda network: network.name),
        (RECIPES, lambda recipe: recipe.name),
        (OBJECTIVES, lambda objective: objective.name),
        (SCORES, lambda make: make().name),
    ],
    ids=lambda given: getattr(given, "kind", ""),
)
def test_things_that_know_their_name_are_under_it(registry: Registry[Any], name: Any) -> None:  # noqa: ANN401
    assert [name(thing) for thing in registry.all().values()] == list(registry)


@pytest.mark.parametrize("skeleton", SKELETONS.all().values(), ids=lambda found: found.name)
def test_every_skeleton_can_be_built_and_written(skeleton: Skeleton) -> None:
    assert callable(skeleton.build)
    assert callable(skeleton.write)


def test_scores_are_made_by_what_is_registered() -> None:
    assert list(scores()) == list(SCORES)


def test_registering_and_listing_import_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
