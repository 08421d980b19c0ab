"""Convolutions in groups as dense ones: the same function, where a measurement says so."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas_space.convs import parse
from nas_space.inference import for_inference
from nas_space.inference.dense import Choice, with_dense

GROUPED = ("igc(L=4,M=2)", "igcv2(K1=2,K2=2,K3=4)", "deep_roots(groups=4)", "xception", "separable")


def always(choices: Sequence[Choice]) -> list[bool]:
    return [True for _ in choices]


def layer(text: str, stride: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    conv = parse(text).build(16, 16, stride)
    norm = nn.BatchNorm2d(16)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]  # it is tracked
    return for_inference(nn.Sequential(conv, norm, nn.ReLU()).eval()).double()


@given(
    text=st.sampled_from(GROUPED),
    stride=st.sampled_from((1, 2)),
    side=st.integers(3, 9),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_dense_layer_computes_the_same(text: str, stride: int, side: int, seed: int) -> None:
    module = layer(text, stride, seed)
    images = torch.randn(2, 16, side, side, dtype=torch.double)
    with torch.inference_mode():
        before = module(images)
        (dense,), (names,) = with_dense([module], [images], always)
        torch.testing.assert_close(dense(images), before, atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(module(images), before, atol=0, rtol=0)  # it was not changed
    assert names
    assert {m.groups for m in dense.modules() if isinstance(m, nn.Conv2d)} == {1}


def test_a_chain_becomes_one_convolution_and_a_regular_one_is_no_choice() -> None:
    images = torch.randn(1, 16, 8, 8, dtype=torch.double)
    modules = [layer("igc(L=4,M=2)", 1, 0), layer("regular", 1, 0)]
    asked: list[Choice] = []

    def noted(choices: Sequence[Choice]) -> list[bool]:
        asked.extend(choices)
        return always(choices)

    (chain, regular), (first, second) = with_dense(modules, [images, images], noted)
    assert len(asked) == len(first) == 1
    assert second == []
    for module in (chain, regular):
        assert sum(isinstance(m, nn.Conv2d) for m in module.modules()) == 1


def test_equal_layers_are_measured_once_and_what_does_not_pay_stays() -> None:
    images = torch.randn(1, 16, 8, 8, dtype=torch.double)
    modules = [layer("xception", 1, seed) for seed in range(3)]
    asked: list[int] = []

    def never(choices: Sequence[Choice]) -> list[bool]:
        asked.append(len(choices))
        return [False for _ in choices]

    kept, names = with_dense(modules, [images] * 3, never)
    assert asked == [1]
    assert names == [[], [], []]
    for module, before in zip(kept, modules, strict=True):
        with torch.inference_mode():
            assert torch.equal(module(images), before(images))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_weights_keep_their_type(kind: torch.dtype) -> None:
    module = layer("deep_roots(groups=4)", 1, 0).to(kind)
    (dense,), _ = with_dense([module], [torch.rand(1, 16, 8, 8, dtype=kind)], always)
    assert {weight.dtype for weight in dense.parameters()} == {kind}


class Centred(nn.Conv2d):
    """A convolution with a forward of its own, as timm's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean())


def test_a_subclass_with_a_forward_of_its_own_is_left_alone() -> None:
    module = for_inference(nn.Sequential(Centred(8, 8, 3, groups=4), nn.Conv2d(8, 8, 1)))
    images = torch.rand(2, 8, 6, 6)
    (kept,), (names,) = with_dense([module], [images], always)
    assert names == []
    with torch.inference_mode():
        assert torch.equal(kept(images), module(images))


def test_a_huge_dense_convolution_is_no_choice() -> None:
    module = for_inference(nn.Sequential(nn.Conv2d(1024, 1024, 3, groups=1024)))
    _, (names,) = with_dense([module], [torch.rand(1, 1024, 3, 3)], always)
    assert names == []
