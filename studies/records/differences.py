"""In which parts two studies differ, and how to ask for the parts of one of them."""

from typing import Any

from nas_space.convs import TYPES
from nas_space.spaces import registry as spaces
from nas_space.spaces.backbone.architecture import DIGEST
from studies.records.tables import Study
from trainers.data.splits import Subset
from trainers.recipes import DEFAULT_METRIC, NO_BALANCE, recorded


def differences(old: Study, new: Study) -> dict[str, str]:
    """The parts in which two studies differ, and how."""
    images = (_identity(old.dataset), _identity(new.dataset))
    parts: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "recipe": (_training(old.recipe, new.recipe), _training(new.recipe, old.recipe)),
        "objective": (_aim(old), _aim(new)),
    }
    if new.device is not None:
        before = old.device or {}
        named = {"name": before.get("name")}, {"name": new.device.get("name")}
        parts["device"] = (before, new.device) if named[0] == named[1] else named
    found = {}
    # What a function makes may depend on the images: they come first.
    if images[0] != images[1]:
        found["data set"] = _difference(*images)
    space = _difference_of_spaces(old.space, new.space)
    if space is not None:
        found["space"] = space
    return found | {
        what: _difference(before, now) for what, (before, now) in parts.items() if before != now
    }


def same_space(study: Study, asked: Study) -> str:
    """How to ask for the space of a study."""
    name = spaces.name_of(study.space)
    if name is not None:
        return f"--space {name}"
    before, now = (set(each.space.get("kinds") or ()) for each in (study, asked))
    if missing := sorted(before - set(TYPES)):
        return f"--plugin MODULE that has {' and '.join(missing)}"
    if before and before < now:
        return f"the same one, without the plugin that has {' and '.join(sorted(now - before))}"
    is_ours = spaces.BACKBONE in study.space
    return "the same one" if is_ours else "the same one, by the convnas that began it"


def same_images(study: Study, asked: Study) -> str:
    """How to ask for the images of a study."""
    before, now = ((s.dataset.get("subset"), s.dataset.get("val_subset")) for s in (study, asked))
    if before[0] is None or before[0] != now[0] or before[1] == now[1]:
        if "reading" in study.dataset or "reading" not in asked.dataset:
            name = study.dataset["name"]
            return "the same one" if name == asked.dataset["name"] else f"--dataset {name}"
        return "the same one, by a convnas of before 2026-12 if more of its images are read now"
    val = before[1] or Subset.earlier(before[0]).val
    return f"the same one, or --val-subset {val} if the images are the same"


def same_recipe(study: Study, asked: Study) -> str:
    """How to ask for the recipe of a study."""
    recipe = recorded(study.recipe)
    if recipe is None:
        return "the same one"
    if recipe.evaluate is not None:
        return f"--evaluate {recipe.evaluate} --epochs {recipe.epochs} --study {study.name}"
    words = f"--recipe {recipe.name} --epochs {recipe.epochs} --study {study.name}"
    if recipe.metric != asked.recipe.get("metric", DEFAULT_METRIC):
        words += f" --metric {recipe.metric}"
    if recipe.balance != asked.recipe.get("balance", NO_BALANCE):
        words += f" --balance {recipe.balance}"
    return f"{words}, without --evaluate" if asked.recipe.get("evaluate") else words


def _training(recipe: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A recipe without its name: it has another one since its values are no longer the default.

    A function of the user's own knows the epochs alone.
    """
    if recipe.get("evaluate") is not None or other.get("evaluate") is not None:
        return {name: recipe.get(name) for name in ("evaluate", "epochs")}
    return {name: value for name, value in recipe.items() if name != "name"}


def _identity(dataset: dict[str, Any]) -> dict[str, Any]:
    """What identifies a data set: its content, not its place."""
    return {name: dataset.get(name) for name in ("fingerprint", "flip")}


def _aim(study: Study) -> dict[str, Any]:
    return {"objective": study.objective, "device": study.objective_device}


def _difference_of_spaces(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """As `_difference`; studies of before 2026-12 do not know what their backbone computed."""
    (before, was), (now, computes) = _without_digest(old), _without_digest(new)
    if before != now:
        return _difference(before, now)
    if was in {None, computes}:
        return None
    return f"what {now[spaces.BACKBONE]['name']} computes has changed"


def _without_digest(space: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """A space without the digest of its backbone, and the digest."""
    backbone = space.get(spaces.BACKBONE)
    if not isinstance(backbone, dict):
        return space, None
    rest = {name: value for name, value in backbone.items() if name != DIGEST}
    return space | {spaces.BACKBONE: rest}, backbone.get(DIGEST)


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    name = changed[0]
    values = f"{old.get(name)!r}, now {new.get(name)!r}"
    return f"{name}: {values}" if len(values) < 80 else name  # noqa: PLR2004 - fits a line
