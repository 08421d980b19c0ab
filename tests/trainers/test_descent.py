"""The optimizer moves parameters as torch's does, and is ready at once."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from trainers.descent import Descent

SHAPES = ((4,), (3, 2), (2, 5, 3, 3))


def parameters(*, rows: bool = False) -> list[nn.Parameter]:
    torch.manual_seed(0)
    made = [torch.randn(shape) for shape in SHAPES]
    return [nn.Parameter(in_rows(x) if rows else x) for x in made]


def in_rows(x: Tensor) -> Tensor:
    """Maps and kernels in channels_last, as in a network in training."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def set_gradients(these: Sequence[nn.Parameter], seed: int, some: Sequence[bool]) -> None:
    torch.manual_seed(seed)
    for one, has_one in zip(these, some, strict=True):
        gradient = torch.randn(one.shape)
        one.grad = gradient if has_one else None


@given(
    st.sampled_from([0.0, 0.9]),
    st.sampled_from([0.0, 5e-4]),
    st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=5),
)
def test_it_moves_parameters_as_torchs_does(
    momentum: float, decay: float, gradients: list[tuple[bool, ...]]
) -> None:
    ours, theirs = parameters(), parameters()
    descent = Descent(ours, momentum=momentum, weight_decay=decay)
    # Not the fused one, which forgets momenta where parameters come in later.
    peer = torch.optim.SGD(
        theirs, momentum=momentum, weight_decay=decay, nesterov=momentum > 0, foreach=False
    )
    for step, some in enumerate(gradients):
        set_gradients(ours, step, some)
        set_gradients(theirs, step, some)
        descent.rate = peer.param_groups[0]["lr"] = 0.1 / (step + 1)
        descent.step()
        peer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_biases_and_norms_need_not_decay() -> None:
    ours, theirs = parameters(), parameters()
    descent = Descent(ours, momentum=0.9, weight_decay=0.1, decays_vectors=False)
    vectors = [one for one in theirs if one.dim() == 1]
    others = [one for one in theirs if one.dim() > 1]
    groups = [{"params": others, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    peer = torch.optim.SGD(groups, momentum=0.9, nesterov=True, lr=0.1, foreach=False)
    for step in range(3):
        set_gradients(ours, step, (True, True, step > 0))
        set_gradients(theirs, step, (True, True, step > 0))
        descent.rate = 0.1
        descent.step()
        peer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("gradients", [in_rows, Tensor.contiguous], ids=["rows", "planes"])
def test_how_numbers_lie_in_memory_does_not_matter(gradients: Callable[[Tensor], Tensor]) -> None:
    ours, theirs = parameters(rows=True), parameters()
    for some in (ours, theirs):
        descent = Descent(some, momentum=0.9, weight_decay=5e-4)
        for step in range(3):
            set_gradients(some, step, [True] * 3)
            if some is ours:
                for one in some:
                    assert one.grad is not None
                    one.grad = gradients(one.grad)
            descent.rate = 0.1
            descent.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert ours[2].is_contiguous(memory_format=torch.channels_last)


def test_cleared_gradients_are_gone() -> None:
    some = parameters()
    set_gradients(some, 0, [True] * 3)
    Descent(some, momentum=0.9, weight_decay=0.0).clear()
    assert all(one.grad is None for one in some)


def scaled(*gradients: Tensor) -> Tensor:
    """A parameter, which was 1, after steps of rate 1 with a scaler."""
    one = nn.Parameter(torch.ones(4))
    descent = Descent([one], momentum=0.5, weight_decay=0.0)
    descent.rate = 1.0
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.zeros(()))
    for gradient in gradients:
        one.grad = gradient * scaler.get_scale()
        scaler.step(descent)  # type: ignore[arg-type]
        scaler.update()
        assert not hasattr(descent, "grad_scale")
    return one.detach()


def test_a_scalers_factor_is_taken_out() -> None:
    # Nesterov: by the gradient and half of the momentum, which is the gradient.
    assert scaled(torch.full((4,), 0.25)).tolist() == pytest.approx([1 - 0.25 * 1.5] * 4)


def test_a_step_with_infinite_gradients_is_left_out() -> None:
    infinite, next_one = torch.tensor([0.0, torch.inf, 0.0, 0.0]), torch.full((4,), 0.25)
    assert scaled(infinite).tolist() == [1.0] * 4
    assert torch.equal(scaled(infinite, next_one), scaled(next_one))


def test_a_training_does_without_torchs_compiler() -> None:
    program = """
import sys
import torch
from trainers import devices
from trainers.recipes import RECIPES
from trainers.data.registry import load
from trainers.training import Trainer

net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.Flatten(), torch.nn.Linear(288, 10))
device = devices.Device(torch.device("cpu"), None)
Trainer(load("digits").search, RECIPES.get("quick"), device).train(net, seed=0, until=1)
sys.exit("torch._dynamo" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
