"""Runtimes: each answers as the network does, one call a module, and says what it is."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_space import extras
from nas_space.convs import parse
from nas_space.extras import MissingExtraError
from nas_space.inference import for_inference
from studies import runtimes
from studies.runtimes import RUNTIMES, UnknownRuntimeError

TYPES = ("regular", "octave(alpha=0.5)", "igc(L=8,M=2)", "xception")


def networks() -> tuple[list[nn.Module], list[Tensor]]:
    """A layer of each type, and what it takes."""
    torch.manual_seed(1)
    layers = [
        nn.Sequential(parse(text).build(16, 16 + 8 * at, 1), nn.ReLU())
        for at, text in enumerate(TYPES)
    ]
    inputs = [torch.rand(1, 16, 6 + 2 * at, 6 + 2 * at) for at in range(len(layers))]
    return [for_inference(layer) for layer in layers], inputs


def answers(name: str, modules: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[np.ndarray]:
    calls = runtimes.find(name).prepared(modules, inputs, 1, inside=True)
    return [np.asarray(call()).squeeze() for call in calls]


def test_there_is_torch_and_onnx_runtime_in_float32_and_in_int8() -> None:
    assert list(RUNTIMES) == ["torch", "onnxruntime", "onnxruntime-int8"]


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "onnxruntime-int8"])
def test_each_module_gets_a_call_of_its_own_with_its_own_shape(name: str) -> None:
    modules, inputs = networks()
    for found, module, given in zip(answers(name, modules, inputs), modules, inputs, strict=True):
        with torch.inference_mode():
            assert found.shape == module(given)[0].shape


def test_int8_takes_and_gives_int8_as_inside_of_a_network() -> None:
    modules, inputs = networks()
    assert {found.dtype for found in answers("onnxruntime-int8", modules, inputs)} == {
        np.dtype(np.uint8)
    }


def test_a_hardware_line_has_threads_runtime_and_numbers() -> None:
    line = runtimes.hardware(runtimes.find("onnxruntime-int8"), 2)
    assert line.startswith("2 threads, ")
    assert "onnxruntime 1." in line
    assert line.endswith(", int8")
    assert f"torch {torch.__version__}" in runtimes.hardware(runtimes.find("torch"), 1)


def test_an_unknown_one_and_one_that_is_not_installed_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UnknownRuntimeError, match="known runtimes: torch, onnxruntime"):
        runtimes.find("tensorrt")
    monkeypatch.setattr(extras, "_is_missing", lambda _module: True)
    with pytest.raises(MissingExtraError, match="--runtime onnxruntime needs onnx"):
        runtimes.find("onnxruntime")
    assert runtimes.find("torch").needs is None


@pytest.mark.parametrize("as_trained", [False, True])
def test_a_whole_network_takes_and_gives_floats_in_int8_too(*, as_trained: bool) -> None:
    modules, inputs = networks()
    runtime = runtimes.find("onnxruntime-int8")
    (call,) = runtime.prepared(modules[2:3], inputs[2:3], 1, as_trained=as_trained)
    assert np.asarray(call()).dtype == np.float32
