"""What a study says, in two sentences, and how far to trust them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from nas_space.cli import counted
from studies.analysis.device import profile_of, uses
from studies.analysis.device import told as told_uses
from studies.analysis.facts import Facts, Judged
from studies.analysis.preferences import Preference, preferences
from studies.pareto.front import accuracy_of
from studies.pareto.knee import answer
from studies.report.html import Content, Markup, element
from studies.report.paths import without_paths
from studies.retraining.summary import told
from trainers.intervals import wilson
from trainers.recipes import NO_BALANCE, resolution_note

_FEW_IMAGES = 100
"""With fewer validation images an accuracy says little."""
_UNBIASED = ": the test accuracy of an export is free of that bias"
_MOST_KINDS = 2
"""How many types are named as preferred, and as avoided."""


def section(facts: Facts) -> Content:
    """The name of the study, the answer, and the numbers."""
    study = facts.study
    return element(
        "header",
        element("h1", study.name),
        element("p", " ".join(_answer(facts)), class_="answer"),
        element("p", _own(facts), class_="soft") if not facts.metric.is_accuracy else "",
        element("p", _caveat(facts), class_="soft") if _says_something(facts) else "",
        _warning(facts),
        _numbers(facts),
        element("p", _origin(facts), class_="soft"),
    )


def _says_something(facts: Facts) -> bool:
    return bool(facts.complete) and not facts.constant


def _answer(facts: Facts) -> Iterator[str]:
    """The sentences."""
    if not facts.complete:
        yield _nothing(facts)
    elif facts.constant:
        (accuracy,) = {accuracy_of(entry) for entry in facts.complete}
        yield (
            f"All {len(facts.complete):,} networks trained to the end "
            f"{_reach(facts, accuracy, 2, 'are')}, so nothing here says which is better."
        )
        if facts.largest is not None and abs(facts.largest.share - accuracy) < 1e-9:  # noqa: PLR2004
            yield f"That is what always saying {facts.largest.name!r} gives: they learn nothing."
    else:
        yield _knee(facts)
        if facts.has_layers and len(facts.complete) > len(facts.front):
            yield _preferred(facts)


def _own(facts: Facts) -> str:
    path = facts.study.recipe.get("evaluate")
    whose = f", the number of {path}" if path else f", {facts.metric.meaning}"
    return f"Where this page says accuracy it means {facts.metric.name}{whose}."


def _nothing(facts: Facts) -> str:
    if facts.partial:
        return f"No network was trained to the end yet, {len(facts.partial):,} partly."
    if not facts.failed:
        return "Nothing was trained yet."
    (reason, count), *others = Counter(e.error or "unknown" for e in facts.failed).most_common()
    most = f", {count:,} of them with" if others else ":"
    return f"All {len(facts.failed):,} trainings failed{most} {without_paths(reason)}."


def _knee(facts: Facts) -> str:
    """The knee and what it costs beside the most accurate network; or the best within a target."""
    aim, best, target = facts.objective, facts.judged[-1], facts.target
    found = answer(facts.judged, target)
    cost = f"{aim.write(found.cost)} {aim.heading}"
    if target is not None and found.cost > target:
        return (
            f"No network within {aim.write(target)} was trained to the end; the cheapest, trial "
            f"{found.number}, {_reach(facts, accuracy_of(found), 1, 'is')} at {cost}."
        )
    if target is not None:
        return (
            f"The best within {aim.write(target)}, trial {found.number}, "
            f"{_reach(facts, accuracy_of(found), 1, 'is')} at {cost}."
        )
    if found is best:
        what = "the most accurate" if len(facts.complete) > 1 else "the only one trained to the end"
        value = facts.metric.write(accuracy_of(found), 1)
        if not facts.metric.is_accuracy:
            what, value = what.replace("most accurate", "best"), f"{facts.metric.name} {value}"
        return f"Trial {found.number} is {what}: {value} at {cost}."
    return (
        f"The knee, trial {found.number}, {_reach(facts, accuracy_of(found), 1, 'is')} "
        f"at {cost}: {_less(facts, found, best)}, trial {best.number}, "
        f"for {found.cost / best.cost:.0%} of its {aim.heading}."
    )


def _less(facts: Facts, found: Judged, best: Judged) -> str:
    """By how much a network is worse than the best."""
    less = accuracy_of(best) - accuracy_of(found)
    if facts.metric.is_share:
        return f"{100 * less:.1f} points less than the most accurate"
    return f"{facts.metric.write(less)} less than the best"


def _reach(facts: Facts, value: float, digits: int, verb: str) -> str:
    """What networks reach, in words."""
    told = facts.metric.write(value, digits)
    if facts.metric.is_accuracy:
        return f"{verb} right for {told} of the validation images"
    has = "has" if verb == "is" else "have"
    return f"{has} a {facts.metric.name} of {told} on validation images"


def _preferred(facts: Facts) -> str:
    """Which types the front prefers, by how much."""
    found = preferences(facts)
    more = [p for p in found if p.sure and p.front > p.tried][:_MOST_KINDS]
    less = [p for p in reversed(found) if p.sure and p.front < p.tried][:_MOST_KINDS]
    if not more and not less:
        return f"The front prefers no type by more than chance may: most of all {_times(found[0])}."
    said = [f"prefers {_listed(more)}"] * bool(more) + [f"avoids {_listed(less)}"] * bool(less)
    return f"The front {' and '.join(said)}."


def _listed(found: Iterable[Preference]) -> str:
    return " and ".join(map(_times, found))


def _times(found: Preference) -> str:
    return (
        f"{found.kind}, {found.ratio or 0.0:.1f} times as often as all trained networks "
        f"({found.front:.0%} of its layers beside {found.tried:.0%})"
    )


def _caveat(facts: Facts) -> str:
    images = f"{facts.images:,} validation images" if facts.images else "the validation images"
    again = facts.retrained_front
    if again is not None:
        seeds = min(member.accuracy.count for member in again.front if member.accuracy)
        return (
            f"Accuracies are means of {counted(seeds, 'fresh seed')} ({again.fidelity}) on "
            f"{images}, on which the networks were chosen, too"
            f"{_UNBIASED if facts.metric.is_accuracy else ''}."
        )
    judged = "expected by a model of all trainings" if facts.modelled else "of one seed each"
    return (
        f"Accuracies are {judged}, on {images}{_half(facts)}: proxies, flattered by the choice of "
        "the best. studies.finalists, below, trains the front again with fresh seeds."
    )


def _half(facts: Facts) -> str:
    """By how much the number of images alone lets an accuracy of the front differ."""
    if facts.images is None:
        return ""
    low, high = wilson(accuracy_of(facts.front[-1]), facts.images)
    return f" (± {50 * (high - low):.1f} points for the best, with 95 % confidence)"


def _warning(facts: Facts) -> Content:
    if facts.images is None or facts.images >= _FEW_IMAGES:
        return ""
    said = (
        f"Only {facts.images:,} validation images: each is {100 / facts.images:.1f} points of "
        "accuracy. Choose no network by so few: give the search more, with --val-subset or a "
        "larger val folder."
    )
    return element("p", said, class_="warning", role="note")


def _numbers(facts: Facts) -> Markup:
    again, largest = facts.retrained_front, facts.largest
    best, metric = max(map(accuracy_of, facts.complete), default=None), facts.metric
    one = "best of one seed" if again else f"best validation {metric.name}"
    numbers = {
        **({"best mean of fresh seeds": told(again.front[-1].accuracy, metric)} if again else {}),
        one: metric.write(best),
        "networks trained fully": f"{len(facts.complete):,}",
        "partly": f"{len(facts.partial):,}",
        "failed": f"{len(facts.failed):,}",
        "on the front": f"{len(facts.front):,}",
    }
    if largest is not None and largest.unequal:
        numbers[f"always saying {largest.name!r}"] = f"{largest.share:.2%}"
    pairs = [element("div", element("dt", n), element("dd", value)) for n, value in numbers.items()]
    return element("dl", pairs, class_="numbers")


def _origin(facts: Facts) -> str:
    study, data = facts.study, facts.study.dataset
    size = "×".join(map(str, data["shape"]))
    return (
        f"The space {study.space['name']} searched on {without_paths(data['name'])} (images of "
        f"{size}), each network trained with the recipe {study.recipe['name']} for up to "
        f"{counted(study.recipe['epochs'], 'epoch')}"
        f"{resolution_note(study.recipe.get('resolution', 1))}{_balance(facts)}, for "
        f"{facts.objective.title(facts.metric)}: {facts.objective.meaning}. {_device(facts)}"
        f"As of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    )


def _device(facts: Facts) -> str:
    """For which device the networks are, and what the one that is named above takes of it."""
    profile = profile_of(facts.study)
    if profile is None:
        return ""
    line = f"The networks are for the device {profile.told}"
    found = answer(facts.judged, facts.target).evaluation if facts.complete else None
    said = "" if found is None else told_uses(uses(found, facts.study, profile))
    return f"{line}; trial {found.number} takes {said}. " if found and said else f"{line}. "


def _balance(facts: Facts) -> str:
    found = facts.study.recipe.get("balance", NO_BALANCE)
    return "" if found == NO_BALANCE else f" and classes balanced by {found}"
