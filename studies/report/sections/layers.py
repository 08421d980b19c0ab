"""Which convolution belongs in which layer: choices of the front, and of all that were tried."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from nas_space.convs import Conv
from studies.analysis.facts import Facts
from studies.analysis.preferences import kinds_of, preferences
from studies.records.tables import Evaluation
from studies.report.html import Content, Markup, element, table
from studies.report.types import Look, chip, legend, looks

_STEM = "stem"
_MOST_WIDE = 12
"""With more networks on the front their columns are narrow."""


def section(facts: Facts) -> Content:
    """A picture of all layers, and how often each type was chosen."""
    shown = looks(facts.kinds)
    return element(
        "section",
        element("h2", "Which convolution in which layer"),
        element("p", _EXPLANATION),
        legend(shown),
        picture(facts, shown),
        _preferences(facts, shown),
    )


_EXPLANATION = (
    "Layers from the image down (numbers are those of stage, block and convolution), networks of "
    "the front by ascending cost. The bars are the shares of the types in that layer: on the "
    "front, and among all fully trained networks. Where both are alike the front prefers nothing: "
    "the search has tried just that mix. A difference is sure if the front's networks have another "
    "share of the type than the others with 95 % confidence."
)


def chosen(facts: Facts, entries: Sequence[Evaluation]) -> dict[str, dict[int, Conv]]:
    """For each layer, from first to last, the convolutions of the networks, by trial."""
    found: dict[str, dict[int, Conv]] = {}
    for entry in entries:
        for layer in facts.architectures[entry.number].layers():
            if layer.name != _STEM:
                found.setdefault(layer.name, {})[entry.number] = layer.conv
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def picture(facts: Facts, looks: Mapping[str, Look]) -> Markup:
    """A row per layer, a column per member of the front, by ascending cost."""
    places = chosen(facts, facts.front)
    tried = chosen(facts, facts.complete)
    shown = _short(places)
    headings: list[Content] = ["layer", "on the front", "of all trained"]
    headings += [_heading(facts, entry) for entry in facts.front]
    rows = [
        [
            shown[name],
            _shares(of.values(), looks),
            _shares(tried[name].values(), looks),
            *(_cell(of.get(entry.number), entry, looks) for entry in facts.front),
        ]
        for name, of in places.items()
    ]
    many = " many" if len(facts.front) > _MOST_WIDE else ""
    return table(headings, rows, f"layers{many}")


def _preferences(facts: Facts, looks: Mapping[str, Look]) -> Markup:
    """Each type's share of all layers, on the front and among all trained networks."""
    on_front, tried = (kinds_of(facts, of).total() for of in (facts.front, facts.complete))
    rows: list[list[Content]] = [
        [
            [chip(looks[found.kind], looks[found.kind].letters, None), f" {found.kind}"],
            f"{found.front:.0%}",
            f"{found.tried:.0%}",
            "–" if found.ratio is None else f"{found.ratio:.1f}×",
            "yes" if found.sure else "may be chance" if found.tried else "–",
        ]
        for found in preferences(facts)
    ]
    headings = [
        "type",
        f"of the front's {on_front} layers",
        f"of {tried:,} in all trained",
        "ratio",
        "sure",
    ]
    return table(headings, rows)


def _natural(name: str) -> list[tuple[str, int]]:
    """For sorting: layer2 comes before layer10."""
    return [(word, int(number or -1)) for word, number in re.findall(r"(\D*)(\d*)", name)]


def _short(names: Iterable[str]) -> dict[str, str]:
    """stage1.block2.conv1 as 1.2.1, if all names look like that."""
    found = {name: re.sub(r"[a-z]+(?=\d)", "", name) for name in names}
    plain = all(re.fullmatch(r"\d+(\.\d+)*", short) for short in found.values())
    return found if plain and len(set(found.values())) == len(found) else {n: n for n in found}


def _heading(facts: Facts, entry: Evaluation) -> Markup:
    lines: list[Content] = [f"{facts.metric.write(entry.val_accuracy, 1)} ", element("br")]
    lines.append(facts.objective.write(entry.cost))
    return element("span", lines, data_trial=entry.number)


def _cell(conv: Conv | None, entry: Evaluation, looks: Mapping[str, Look]) -> Content:
    if conv is None:
        return ""
    look = looks[conv.kind]
    return element(
        "span",
        look.letters,
        class_="chip wide",
        style=f"background:{look.colour};color:{look.ink}",
        title=str(conv),
        data_trial=entry.number,
    )


def _shares(convs: Iterable[Conv], looks: Mapping[str, Look]) -> Markup:
    """A bar of the types' shares."""
    counts = Counter(conv.kind for conv in convs)
    told = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    parts = [
        element("i", style=f"flex:{counts[kind]};background:{look.colour}")
        for kind, look in looks.items()
        if counts[kind]
    ]
    return element("span", parts, class_="shares", role="img", aria_label=told, title=told)
