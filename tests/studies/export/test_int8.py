"""A network in int8: as accurate, made of training images alone, and refused where it is not."""

import copy
import dataclasses

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.export import Dim

from nas_space.bundle import Bundle, Compared, Measured, Preprocessing, Record
from nas_space.bundle.forms.onnx_model import opened, write
from nas_space.bundle.int8 import prepared, quantised
from nas_space.spaces.building import build
from nas_space.spaces.registry import get, spaces
from studies.cli import CommandError
from studies.export.int8 import (
    ALLOWED,
    Quantised,
    compared,
    quantise,
    refuse_or_warn,
    sample,
)
from trainers.data.registry import load
from trainers.data.splits import Images, SearchData


@pytest.fixture(scope="module")
def digits() -> SearchData:
    return load("digits").search


@pytest.fixture(scope="module")
def network(digits: SearchData) -> nn.Sequential:
    """A small network that knows the digits."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    images = torch.from_numpy(sample(digits.train, len(digits.train)))
    order = np.sort(np.random.default_rng(20190410).permutation(len(digits.train)))
    labels = torch.from_numpy(digits.train.labels[order])
    optimiser = torch.optim.Adam(made.parameters(), lr=0.005)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(made(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return made.eval()


def as_onnx(network: nn.Module) -> bytes:
    shapes = ({0: Dim("batch", min=1)},)
    exported = torch.export.export(network, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=shapes)
    return write(exported, "the task", 18)


@pytest.fixture(scope="module")
def model(network: nn.Sequential) -> bytes:
    return as_onnx(network)


@pytest.fixture(scope="module")
def fragile(network: nn.Sequential) -> bytes:
    """The same function, but one channel's values are large beside the others."""
    other = copy.deepcopy(network)
    first, second = other[0], other[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    assert first.bias is not None
    with torch.no_grad():
        first.weight[0] *= 1e4
        first.bias[0] *= 1e4
        first.bias[0] += 1e3
        second.weight[:, 0] = 0
    return as_onnx(other)


@pytest.fixture(scope="module")
def made(model: bytes, digits: SearchData) -> Quantised:
    return quantise(model, model, digits)


def test_it_is_nearly_as_accurate_and_holds_weights_of_eight_bits(made: Quantised) -> None:
    assert made.validation.fp32 > 0.85
    assert abs(made.validation.lost) < 0.03
    assert made.left == ()
    found = onnx.load_from_string(made.content)
    weights = {t.name: numpy_helper.to_array(t) for t in found.graph.initializer}
    assert sum(w.dtype == np.int8 and w.ndim > 1 for w in weights.values()) == 4
    # A scale for each channel.
    assert weights["2.weight_scale"].shape == (16,)
    # 7 bits of them: else what was measured here would not hold on a CPU of another kind.
    assert max(np.abs(w).max() for w in weights.values() if w.dtype == np.int8) <= 64
    assert {p.key: p.value for p in found.metadata_props}["task"] == "the task"
    # What runtimes of years ago load.
    assert [(entry.domain, entry.version) for entry in found.opset_import] == [("", 18)]
    assert found.ir_version == 8


def test_it_takes_batches_of_any_size(made: Quantised) -> None:
    run, images = opened(made.content), torch.rand(5, 1, 8, 8)
    alone = torch.cat([run(images[i : i + 1]) for i in range(5)])
    assert torch.equal(run(images), alone)


def test_it_is_made_of_training_images_alone(
    model: bytes, digits: SearchData, made: Quantised
) -> None:
    val = Images(digits.val.pixels | np.uint8(64), digits.val.labels)
    other = quantise(model, model, dataclasses.replace(digits, val=val))
    assert other.content == made.content
    train = Images(digits.train.pixels // 2, digits.train.labels)
    assert quantise(model, model, dataclasses.replace(digits, train=train)).content != made.content


def test_layers_that_int8_harms_stay_in_float32(fragile: bytes, digits: SearchData) -> None:
    lost = quantise(fragile, fragile, digits, allowed=1.0)
    assert lost.validation.lost > 0.2
    assert lost.left == ()
    kept = quantise(fragile, fragile, digits)
    assert set(kept.left) == {"0", "2"}
    assert not kept.validation.loses_more_than(ALLOWED)


def test_what_loses_too_much_is_refused_or_told(made: Quantised) -> None:
    bad = Compared(0.9, 0.1, 1000, -0.83, -0.77)
    collapsed = dataclasses.replace(made, validation=bad, left=("0",))
    line = refuse_or_warn(collapsed, required=False)
    assert line is not None
    assert "int8 loses 80.00 points of validation accuracy with 1 layer in float32" in line
    with pytest.raises(CommandError, match=r"more than 1: .*--int8-loss"):
        refuse_or_warn(collapsed, required=True)
    by_chance = dataclasses.replace(made, validation=Compared(0.9, 0.8, 20, -0.25, 0.05))
    assert refuse_or_warn(by_chance, required=True) is None


def test_accuracies_are_compared_image_by_image() -> None:
    fp32 = np.array([True] * 90 + [False] * 10)
    same, other = compared(fp32, fp32), compared(fp32, np.roll(fp32, 10))
    assert (same.fp32, same.int8, same.images) == (0.9, 0.9, 100)
    assert other.lost == same.lost == 0
    assert other.high > same.high


def test_what_is_measured_of_it(made: Quantised, digits: SearchData) -> None:
    found = made.measured(digits.val, digits.shape)
    assert found.test == found.validation == made.validation
    assert (found.fp32_bytes, found.int8_bytes) == (len(made.fp32), len(made.content))
    assert found.fp32_seconds > 0
    assert found.int8_seconds > 0
    assert "onnxruntime" in found.hardware


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in spaces() if name != "photo"])
def test_every_type_survives(name: str, digits: SearchData) -> None:
    space = get(name)
    # Where there is a choice, neither the first nor the widest.
    found = space.decode({p.name: p.labels[min(1, len(p.labels) - 1)] for p in space.parameters})
    weights = build(found, 1, 10, seed=1).state_dict()
    task = Preprocessing(digits.shape, digits.mean, digits.std, digits.classes)
    measured = Measured(0.1, 1, "quick", 1, 1)
    record = Record(measured, measured, measured)
    model = Bundle.assemble(found, task, record, weights).onnx()
    images = sample(digits.train, 64)
    logits, others = (
        run(torch.from_numpy(images))
        for run in (opened(model), opened(quantised(prepared(model), images)))
    )
    # Networks that nobody trained; what collapses is as far away as the logits are large.
    assert (others - logits).square().mean() < 0.2 * logits.square().mean()
