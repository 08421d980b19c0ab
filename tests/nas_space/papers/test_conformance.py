"""The papers' networks against the papers and their authors' code, to the last integer."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nas_space.costs.by_thop import thop_count
from nas_space.costs.counting import count
from nas_space.papers import PaperNetwork, get, networks
from nas_space.papers._calflops import GLUON_COUNTER, SYMBOL_COUNTER
from nas_space.papers._exact import Exact, exact

PAPERS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "papers.json").read_text()
)

every_exact = pytest.mark.parametrize(("name", "known"), exact().items(), ids=list(exact()))
every_network = pytest.mark.parametrize("network", networks().values(), ids=networks())


@every_exact
def test_parameters_and_macs_are_those_of_the_authors_code(name: str, known: Exact) -> None:
    counts = get(name).counts()
    assert counts.params == known.params
    assert counts.macs == known.macs
    if known.params_without_norm is not None:
        assert counts.params - counts.norm_params == known.params_without_norm
    if known.params_without_classifier is not None:
        assert counts.params - counts.classifier_params == known.params_without_classifier
    if known.counter is not None:
        symbol = known.source.startswith("symbol library")
        assert (SYMBOL_COUNTER if symbol else GLUON_COUNTER).count(get(name)) == known.counter


@every_network
def test_a_published_figure_is_met_or_its_gap_is_explained(network: PaperNetwork) -> None:
    for figure in network.figures():
        assert figure.agrees(network) == (not figure.gap), figure


def test_the_list_has_the_networks_whose_exact_numbers_are_known() -> None:
    # Depths that no paper uses, and octave networks without low frequencies, need no place there.
    elsewhere = re.compile(r"(igc|regconv)-.*-d(8|50|98)(-.*)?|.*-a0")
    assert {name for name in exact() if not elsewhere.fullmatch(name)} <= networks().keys()


@pytest.mark.parametrize(("name", "giga"), PAPERS["figure_4"])
def test_octave_costs_lie_where_the_papers_figure_4_has_its_markers(name: str, giga: float) -> None:
    assert SYMBOL_COUNTER.count(get(name)) / 1e9 == pytest.approx(giga, rel=0.002)


@pytest.mark.parametrize(("name", "giga"), PAPERS["video"])
def test_video_costs_are_those_of_an_independent_count(name: str, giga: float) -> None:
    assert round(get(name).counts().macs / 1e9, 3) == giga


def test_octave_video_saves_the_share_that_is_printed() -> None:
    for kind, percent in (("c2d", 90), ("i3d", 91)):
        octave, vanilla = get(f"oct-{kind}-resnet-50-a0.1"), get(f"{kind}-resnet-50")
        assert round(100 * octave.counts().macs / vanilla.counts().macs) == percent


def test_igc_on_imagenet_keeps_the_primary_weights_of_resnet_18() -> None:
    # G = 64·√L: the 3×3 weights stay at ResNet-18's.
    for name in ("resnet-18-w64", "igc-l4m32-imagenet", "igc-l16m16-imagenet"):
        spatial = [layer for layer in get(name).counts().layers if layer.what.startswith("3×3")]
        assert sum(layer.params for layer in spatial) == 10_985_472


def test_costs_rise_in_the_papers_order() -> None:
    for depth in (20, 38, 62):
        labels = ("igc-l24m2", "regconv-w16", "igc-l4m8", "regconv-w18")
        macs = [get(f"{label}-d{depth}").counts().macs for label in labels]
        assert macs == sorted(macs)


@pytest.mark.parametrize(
    "name",
    [
        "igc-l4m8-d20-ident",
        "sumfusion-l4m8-d20",
        "igcv2-w48-d20",
        "dfn-mr-d26w1",
        "nin-root-4",
        "oct-mobilenet-v1-0.75-a0.375",
    ],
)
def test_counts_agree_with_thop_and_with_torchs_counter(name: str) -> None:
    network = get(name)
    module, counts = network.build().eval(), network.counts()
    for measured in (count(module, network.shape), thop_count(module, network.shape)):
        assert (counts.params, counts.macs) == (measured.params, measured.macs)
