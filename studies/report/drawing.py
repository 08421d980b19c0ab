"""A network as a drawing: its layers in order, and beneath them what each costs."""

from collections.abc import Mapping, Sequence

from nas_space.cli import short
from studies.anatomy import Row, rows
from studies.records import Evaluation
from studies.report.facts import Facts
from studies.report.html import Content, Markup, element
from studies.report.types import Look, chip

_PLAIN = Look("", "#bbbbbb", "#111")
"""What is no choice: stem, shortcuts, classifier."""


def drawing(facts: Facts, entry: Evaluation, looks: Mapping[str, Look]) -> Markup:
    """One network."""
    architecture = facts.architectures[entry.number]
    stages: list[Content] = []
    for stage in architecture.stages:
        chips = [
            [chip(looks[conv.kind], str(conv), None) for conv in block] for block in stage.blocks
        ]
        blocks = [element("span", block, class_="block") for block in chips]
        stages.append(element("div", element("b", str(stage.width)), blocks, class_="stage"))
    layers = list(rows(architecture, facts.task))
    return element(
        "figure",
        element("div", stages, class_="stages"),
        _ribbon(layers, looks),
        element("figcaption", _told(layers)),
    )


def _ribbon(layers: Sequence[Row], looks: Mapping[str, Look]) -> Markup:
    """The layers as parts of a bar, each as wide as its share of the MACs."""
    total = sum(row.macs for row in layers)
    parts = []
    for row in layers:
        look = _look(row, looks)
        told = f"{row.layer}: {row.convolution}, {short(row.macs)} MACs, {row.macs / total:.1%}"
        parts.append(element("i", style=f"flex:{row.macs};background:{look.colour}", title=told))
    return element("div", parts, class_="ribbon", role="img", aria_label=_told(layers))


def _look(row: Row, looks: Mapping[str, Look]) -> Look:
    if row.layer.endswith(("conv1", "conv2")):
        return looks.get(row.convolution.partition("(")[0], _PLAIN)
    return _PLAIN


def _told(layers: Sequence[Row]) -> str:
    dearest = max(layers, key=lambda row: row.macs)
    total = sum(row.macs for row in layers)
    return (
        f"{short(total)} MACs, each layer as wide as its share; the dearest is {dearest.layer} "
        f"({dearest.convolution}) with {dearest.macs / total:.0%}; grey: stem, shortcuts and "
        "classifier"
    )
