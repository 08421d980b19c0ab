"""Laws of interleaved group convolutions of many stages (arXiv 1804.06202)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas_space.convs import InvalidChoiceError, parse
from nas_space.convs.igc import IGC
from nas_space.convs.igcv2 import IGCV2

Double = torch.double
share = st.integers(2, 4)


@settings(max_examples=30)
@given(first=st.integers(1, 3), second=share, third=share, fourth=st.integers(1, 3))
def test_each_pair_of_channels_is_connected_by_exactly_one_path(
    first: int, second: int, third: int, fourth: int
) -> None:
    conv = IGCV2(K1=first, K2=second, K3=third, K4=fourth, kernel=1)
    width = first * second * third * fourth
    module = conv.build(width, width).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(1)
    # With all weights 1, the response to a channel counts the paths from it.
    paths = module(torch.eye(width, dtype=Double)[:, :, None, None])[:, :, 0, 0]
    assert torch.equal(paths, torch.ones(width, width, dtype=Double))


@given(partitions=st.integers(2, 6), channels=st.integers(1, 6), stride=st.sampled_from([1, 2]))
def test_with_two_stages_it_is_igc(partitions: int, channels: int, stride: int) -> None:
    width = partitions * channels
    ours = IGCV2(K1=channels, K2=partitions)
    igc = IGC(L=partitions, M=channels)
    module, same = ours.build(width, width, stride).double(), igc.build(width, width, stride)
    same.double().load_state_dict(module.state_dict())
    x = torch.randn(1, width, 5, 5, dtype=Double)
    assert torch.equal(module(x), same(x))
    assert ours.macs(width, width, (5, 5), stride) == igc.macs(width, width, (5, 5), stride)


@given(first=st.integers(1, 4), rest=st.lists(st.integers(2, 6), min_size=1, max_size=3))
def test_cost_is_the_papers_and_not_below_its_bound(first: int, rest: list[int]) -> None:
    shares = [*rest, 1, 1][:3]
    conv = IGCV2(K1=first, K2=shares[0], K3=shares[1], K4=shares[2])
    width, stages = first * math.prod(rest), 1 + len(rest)
    params = conv.params(width, width)
    assert params == width * (9 * first + sum(rest))
    # Width · n · (S·width)^(1/n), met where S·K1 = K2 = K3 = …
    bound = width * stages * (9 * width) ** (1 / stages)
    assert params >= bound - 1e-6


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_the_papers_bound_is_met_where_all_stages_cost_the_same(stages: int) -> None:
    shares = [9] * (stages - 1) + [1] * (4 - stages)
    conv = IGCV2(K1=1, K2=shares[0], K3=shares[1], K4=shares[2])
    width = 9 ** (stages - 1)
    assert conv.params(width, width) == pytest.approx(width * stages * (9 * width) ** (1 / stages))


@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(16, 32, 2), (32, 16, 1), (24, 48, 2)])
def test_a_change_of_width_widens_the_groups_of_the_first_stage(
    c_in: int, c_out: int, stride: int
) -> None:
    (conv, *_) = IGCV2.settings(c_in, c_out)
    primary, *pointwise = (
        m for m in conv.build(c_in, c_out, stride).modules() if isinstance(m, nn.Conv2d)
    )
    assert primary.stride == (stride, stride)
    assert c_in % primary.groups == 0
    assert primary.groups == c_out // conv.K1
    assert [c_out // m.groups for m in pointwise] == list(conv.pointwise)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("igcv2(K1=2,K2=4,K3=4)", "K1·K2·K3·K4 = 32 must equal the width 16"),
        ("igcv2(K1=1,K2=4,K3=4)", "16 groups must divide the 24 input channels"),
    ],
)
def test_a_misfit_says_why(label: str, reason: str) -> None:
    with pytest.raises(InvalidChoiceError, match=reason):
        parse(label).check(24, 16)


@pytest.mark.parametrize("label", ["igcv2(K1=1)", "igcv2(K1=1,K2=1)", "igcv2(K1=0,K2=4)"])
def test_stages_that_mix_nothing_are_refused(label: str) -> None:
    with pytest.raises(InvalidChoiceError):
        parse(label)


def test_a_stage_behind_one_that_is_left_out_is_refused() -> None:
    with pytest.raises(InvalidChoiceError, match="K4 without K3"):
        parse("igcv2(K1=1,K2=4,K4=4)")
