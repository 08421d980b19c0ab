"""Outputs of whole octave networks against those of the authors' MXNet code (arXiv 1904.05049)."""

import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_space.papers import get

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "oct_golden_nets.json").read_text())
NAMES = {
    "gluon/resnet50_v1b/a0.25": "oct-resnet-50-v1b-a0.25",
    "gluon/mobilenet_v1_075/a0.375": "oct-mobilenet-v1-0.75-a0.375",
    "symbol/resnetv2-26/a0.5": "oct-resnet-26-v2-a0.5",
    "symbol/densenet-121/a0.125": "oct-densenet-121-a0.125",
}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}


def canonical(name: str) -> str:
    """The name that the golden weights are generated from, of a tensor of our state dict."""
    *path, last = name.removeprefix("body.").split(".")
    normalises = any(re.fullmatch(r"bn\d?", part) for part in path)
    return "/".join([*path, NORM[last] if normalises else last])


def weights(key: str, shape: torch.Size) -> torch.Tensor:
    """Reproducible weights that depend on nothing but the tensor's name and shape."""
    draw = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(tuple(shape))
    z = torch.from_numpy(np.asarray(draw).astype(np.float32))
    match key.rpartition("/")[2]:
        case "weight":
            return z / math.sqrt(math.prod(shape[1:]))
        case "gamma":
            return 1 + 0.1 * z
        case "var":
            return 1 + 0.1 * z.abs()
        case _:
            return 0.1 * z


def test_every_golden_network_is_built() -> None:
    assert NAMES.keys() == GOLDEN.keys()


@pytest.mark.parametrize(("key", "name"), NAMES.items())
def test_logits_equal_those_of_the_authors_code(key: str, name: str) -> None:
    module = get(name).build().eval()
    state = {
        ours: tensor if ours.endswith("tracked") else weights(canonical(ours), tensor.shape)
        for ours, tensor in module.state_dict().items()
    }
    module.load_state_dict(state)
    draw = np.random.RandomState(20190410).standard_normal((1, 3, 64, 64))
    with torch.no_grad():
        logits = module(torch.from_numpy(draw.astype(np.float32)))[0]
    expected = torch.tensor(GOLDEN[key]["logits"])
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()
