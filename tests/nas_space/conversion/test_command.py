"""`python -m nas_space.convert`, and the networks that it finds by name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas_space.conversion.command import main
from nas_space.spaces.backbone.loading import BACKBONES, UnknownBackboneError, load
from tests.refusals import after_waiting, called, refusal

USERS = "tests.nas_space.conversion.models"


def test_a_users_own_network_in_the_current_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    one, two = (nn.Conv2d(c, 16, 3, padding=1) for c in (3, 16))\n"
        "    return nn.Sequential(one, two)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "nas_space.convert", "mine:net", "igc", "--shape", "3x16x16"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, after_waiting(done.stderr)) == (0, "")
    assert "1 of 2 convolutions replaced" in done.stdout


def test_every_layer_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (f"{USERS}:small", "shared:igc(M=4)", "octave", "--shape", "3x16x16")
    assert called(main, *arguments)() == 0
    printed = capsys.readouterr().out
    assert "igc(L=8,M=4)" in printed
    assert "3 of 6 convolutions replaced" in printed


def test_its_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("resnet18", "xception", "--shape", "3x64x64", "--classes", "7", "--json")
    assert called(main, *arguments)() == 0
    facts = json.loads(capsys.readouterr().out)
    saved = sum(layer["macs"]["before"] - layer["macs"]["after"] for layer in facts["layers"])
    assert facts["macs"]["before"] - facts["macs"]["after"] == saved > 0
    assert [layer["name"] for layer in facts["layers"]][:2] == ["conv1", "layer1.0.conv1"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("resnet19", "igc"), "unknown backbone 'resnet19'; did you mean resnet1"),
        (
            ("nowhere:net", "igc"),
            "backbone nowhere:net: nowhere cannot be imported (ModuleNotFoundError",
        ),
        ((f"{USERS}:none", "igc"), f"backbone {USERS}:none: none is nothing in {USERS}"),
        ((f"{USERS}:__doc__", "igc"), f"backbone {USERS}:__doc__: __doc__ is no function"),
        (
            (f"{USERS}:broken", "igc"),
            f"backbone {USERS}:broken: the function failed (RuntimeError: no w",
        ),
        (
            (f"{USERS}:number", "igc"),
            f"backbone {USERS}:number: the function gives a int, not a torch.nn",
        ),
        ((f"{USERS}:Nothing", "igc"), "Nothing has no Conv2d: there is nothing to convert"),
        ((f"{USERS}:small", "igc", "--shape", "1x9x9"), "Small fails for an image of 1×9×9: "),
        ((f"{USERS}:small", "igc", "--shape", "3x9"), "argument --shape: '3x9' is no shape like"),
        ((f"{USERS}:small", "x:igc"), "no convolution's name is like 'x'"),
        ((f"{USERS}:small", "ocatve"), "unknown convolution type 'ocatve'"),
        ((f"{USERS}:small", "igc:"), "cannot read the convolution ''"),
        ((f"{USERS}:small",), "the following arguments are required: CHOICE"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(called(main, *arguments), capsys).startswith(f"error: {line}")


def test_a_seed_draws_the_weights_and_the_random_state_stays() -> None:
    state = torch.get_rng_state()
    a, b, c = (load("resnet18", 3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert a["fc.weight"].shape == (3, 512)
    assert torch.equal(a["conv1.weight"], b["conv1.weight"])
    assert not torch.equal(a["conv1.weight"], c["conv1.weight"])


def test_torchvisions_models_are_known_by_name() -> None:
    assert {"resnet18", "vgg11", "convnext_tiny"} <= set(BACKBONES)
    assert "fasterrcnn_resnet50_fpn" not in BACKBONES
    with pytest.raises(UnknownBackboneError):
        load("fasterrcnn_resnet50_fpn")
