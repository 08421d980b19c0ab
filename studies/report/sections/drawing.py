"""A network as a drawing: its layers in order, and the cost of each below."""

import itertools
from collections.abc import Mapping, Sequence

from nas_space.cli import short
from nas_space.spaces.architecture import Layer
from studies.analysis.facts import Facts
from studies.analysis.layer_costs import LayerRow, layer_costs
from studies.records.tables import Evaluation
from studies.report.html import Content, Markup, element
from studies.report.sections import front
from studies.report.types import Look, chip, legend, looks

_PLAIN = Look("", "#bbbbbb", "#111")
"""The look of layers that are not chosen: stem, shortcuts, classifier."""


def section(facts: Facts) -> Content:
    """The networks of the front, the knee opened."""
    shown = looks(facts.kinds)
    parts: list[Content] = [element("h2", "The networks of the front"), legend(shown)]
    for entry in facts.shown:
        summary = element("summary", front.note(facts, entry).partition(" · ")[0])
        is_open = "" if entry is facts.knee else None
        parts.append(element("details", summary, drawing(facts, entry, shown), open=is_open))
    return element("section", parts)


def drawing(facts: Facts, entry: Evaluation, looks: Mapping[str, Look]) -> Markup:
    """One network."""
    architecture = facts.architectures[entry.number]
    stages: list[Content] = []
    for section in architecture.sections():
        blocks = [
            element(
                "span",
                [chip(looks[layer.conv.kind], str(layer.conv), None) for layer in block],
                class_="block",
            )
            for _, block in itertools.groupby(section, key=_block)
        ]
        width = element("b", str(section[-1].c_out))
        stages.append(element("div", width, blocks, class_="stage"))
    layers = list(layer_costs(architecture, facts.task))
    return element(
        "figure",
        element("div", stages, class_="stages"),
        _ribbon(layers, looks),
        element("figcaption", _told(layers)),
    )


def _ribbon(layers: Sequence[LayerRow], looks: Mapping[str, Look]) -> Markup:
    """The layers as parts of a bar, each as wide as its share of the MACs."""
    total = sum(row.macs for row in layers)
    parts = []
    for row in layers:
        look = _look(row, looks)
        told = f"{row.layer}: {row.convolution}, {short(row.macs)} MACs, {row.macs / total:.1%}"
        parts.append(element("i", style=f"flex:{row.macs};background:{look.colour}", title=told))
    return element("div", parts, class_="ribbon", role="img", aria_label=_told(layers))


def _look(row: LayerRow, looks: Mapping[str, Look]) -> Look:
    return looks.get(row.convolution.partition("(")[0], _PLAIN) if row.chosen else _PLAIN


def _block(layer: Layer) -> str:
    """The block of stage1.block2.conv1 is stage1.block2."""
    return layer.name.rpartition(".")[0]


def _told(layers: Sequence[LayerRow]) -> str:
    dearest = max(layers, key=lambda row: row.macs)
    total = sum(row.macs for row in layers)
    return (
        f"{short(total)} MACs, each layer as wide as its share; the dearest is {dearest.layer} "
        f"({dearest.convolution}) with {dearest.macs / total:.0%}; grey: stem, shortcuts and "
        "classifier"
    )
