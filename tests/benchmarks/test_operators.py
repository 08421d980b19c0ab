"""The benchmark of operators, on little: what it compares is seen to be the same function."""

import sys

import pytest
import torch

from benchmarks import operators
from nas_space.convs import parse
from trainers.fast import for_training

LABELS = ["xception", "igc(L=8,M=4)", "deep_roots(groups=4)", "octave(alpha=0.25)", "regular"]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("c_out", "stride"), [(32, 1), (64, 2)])
def test_the_pass_leaves_weights_and_outputs(label: str, c_out: int, stride: int) -> None:
    conv = parse(label if "igc" not in label else f"igc(L=8,M={c_out // 8})")
    layer = conv.build(32, c_out, stride)
    ours = for_training(layer)
    assert list(ours.state_dict()) == list(layer.state_dict())
    x = torch.randn(2, 32, 8, 8)
    torch.testing.assert_close(ours(x), layer(x), atol=1e-5, rtol=1e-5)


def test_every_point_is_checked_and_the_tables_have_all_types(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ["--widths", "32", "--sizes", "8", "--batches", "8", "--rounds", "1", "--points"]
    monkeypatch.setattr(sys, "argv", ["operators", *grid])
    operators.main()
    told = capsys.readouterr().out
    for kind in operators.CHOICES:
        assert f"| {kind} | training |" in told
        assert f"| {kind} | inference |" in told
    assert "| octave(alpha=0.5) | 32 | 8 | 8 | training |" in told


def test_an_operator_that_computes_something_else_ends_the_benchmark() -> None:
    conv, x = parse("xception"), torch.randn(2, 32, 8, 8)
    made = operators.steps(conv, 32, x, trains=True, amp=None)
    other = operators.steps(parse("xception"), 32, x + 1, trains=True, amp=None)
    operators.check(made)
    with pytest.raises(SystemExit, match="outputs or gradients differ"):
        operators.check(made | {"ours": other["ours"]})
