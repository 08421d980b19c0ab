"""Exported networks: the same outputs when read back, and damage refused in one line."""

import dataclasses
import json
import os
import pickle
import resource
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.export import Dim

from nas_space.bundle import (
    Bundle,
    BundleError,
    Compared,
    Int8,
    Measured,
    Preprocessing,
    Record,
    int8,
    prepare,
)
from nas_space.bundle.forms.onnx_model import write
from nas_space.bundle.manifest import MANIFEST, seal
from nas_space.bundle.verify import verify
from nas_space.opsets import OPSET
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.building import build
from nas_space.spaces.registry import get

TASK = Preprocessing((3, 8, 8), (0.4, 0.5, 0.6), (0.2, 0.2, 0.3), ("cat", "dog", "bird"))
RECORD = Record(
    Measured(0.5, 40, "quick", 6, 0),
    Measured(0.75, 40, "full", 60, 1),
    Measured(0.7, 50, "a", 1, 1),
)
FILES = {
    "README.md",
    "architecture.json",
    "manifest.json",
    "model.onnx",
    "model.py",
    "program.pt2",
    "record.json",
    "task.json",
    "weights.safetensors",
}


def made() -> Bundle:
    architecture = get("deep_roots").decode({"stage1.block1.conv1.setting": "1"})
    network = build(architecture, 3, 3, seed=1)
    images = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network(images)  # moves BatchNorm's statistics off their start
    return Bundle.assemble(architecture, TASK, RECORD, network.state_dict())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that nobody changes."""
    folder = tmp_path_factory.mktemp("bundles") / "out"
    made().write(folder, lambda _: "the card")
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(written, tmp_path / "out")


def test_it_is_read_back_as_it_was_written(written: Path) -> None:
    bundle, again = made(), Bundle.read(written)
    assert again.architecture == bundle.architecture
    assert again.preprocessing == bundle.preprocessing
    assert again.record == bundle.record
    assert not any(module.training for module in again.network.modules())
    images = torch.rand(7, 3, 8, 8)
    assert torch.equal(again.network(images), bundle.network(images))
    assert (written / "README.md").read_text() == "the card"


def test_a_network_in_int8_lies_beside_it_and_is_held_to_its_own_outputs(tmp_path: Path) -> None:
    compared = Compared(0.75, 0.7, 40, -0.1, 0.05)
    measured = Int8(compared, compared, 8, ("stem.0",), 0.01, 20, 10, 0.2, 0.1, "a machine")
    bundle = dataclasses.replace(made(), record=dataclasses.replace(RECORD, int8=measured))
    images = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)).numpy()
    small = int8.quantised(int8.prepared(bundle.onnx()), images)
    folder = tmp_path / "out"
    bundle.write(folder, lambda _: "the card", made={int8.FILE: small})
    assert {path.name for path in folder.iterdir()} == FILES | {int8.FILE}
    assert (folder / int8.FILE).read_bytes() == small
    assert Bundle.read(folder).record == bundle.record
    (folder / int8.FILE).write_bytes(small[:-1])
    with pytest.raises(BundleError, match="is not the file that was exported"):
        Bundle.read(folder)


def test_an_export_without_int8_says_nothing_of_it(written: Path) -> None:
    assert "int8" not in (written / "record.json").read_text()
    assert made().onnx() == (written / "model.onnx").read_bytes()


def test_it_normalises_its_input_itself() -> None:
    bundle = made()
    images = torch.rand(2, 3, 8, 8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (TASK.mean, TASK.std))
    plain = bundle.network.network((images - mean) / std)
    assert torch.allclose(bundle.network(images), plain, atol=1e-6)


def test_its_files_can_be_read_by_others_and_nothing_else_is_left(written: Path) -> None:
    assert [path.name for path in written.parent.iterdir()] == ["out"]
    assert {path.name for path in written.iterdir()} == FILES
    assert all(path.stat().st_mode & stat.S_IROTH for path in written.iterdir())


def test_no_file_tells_of_the_machine_that_wrote_it(written: Path) -> None:
    ours = str(Path(__file__).parents[3]).encode()
    for path in written.iterdir():
        for place in (ours, str(written.parent).encode(), b"site-packages"):
            assert place not in path.read_bytes(), path.name


def test_the_other_forms_hold_the_task_as_well(written: Path) -> None:
    import onnx  # noqa: PLC0415 - a second, of this test alone

    task = json.loads((written / "task.json").read_text())
    assert task["classes"] == ["cat", "dog", "bird"]
    kept = {"task.json": ""}
    torch.export.load(written / "program.pt2", extra_files=kept)
    assert json.loads(kept["task.json"]) == task
    properties = {p.key: p.value for p in onnx.load(written / "model.onnx").metadata_props}
    assert json.loads(properties["task"]) == task


def test_its_onnx_file_loads_in_runtimes_of_years_ago_unless_newer_ones_are_asked_for() -> None:
    import onnx  # noqa: PLC0415 - as above

    network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 3))
    shapes = ({0: Dim("batch", min=1)},)
    exported = torch.export.export(network, (torch.rand(2, 3, 8, 8),), dynamic_shapes=shapes)
    forms = []
    for opset in (OPSET, 21):
        model = onnx.load_from_string(write(exported, "{}", opset))
        forms.append((model.opset_import[0].version, model.ir_version))
        for value in (*model.graph.input, *model.graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    # What onnxruntime 1.15 and 1.18 load, see `RUNTIMES`.
    assert forms == [(18, 8), (21, 10)]


def test_files_that_python_leaves_beside_it_do_no_harm(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    Bundle.read(folder)


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
def test_a_changed_byte_and_a_missing_file_are_refused(folder: Path, name: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="is not the file that was exported"):
        Bundle.read(folder)
    path.unlink()
    with pytest.raises(BundleError, match="is missing"):
        Bundle.read(folder)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch hacked",)


def resealed(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A change by somebody who knows of the manifest."""

    def damage(folder: Path) -> None:
        change(folder)
        (folder / MANIFEST).unlink()
        seal(folder)

    return damage


def edited(name: str, **changes: Any) -> Callable[[Path], None]:  # noqa: ANN401 - JSON
    def edit(folder: Path) -> None:
        data = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(data))

    return edit


def text(name: str, written: str | bytes) -> Callable[[Path], None]:
    data = written.encode() if isinstance(written, str) else written
    return resealed(lambda folder: (folder / name).write_bytes(data))


def climbing(name: str) -> Callable[[Path], None]:
    def climb(folder: Path) -> None:
        (folder.parent / "outside").write_text("x")
        data = json.loads((folder / MANIFEST).read_text())
        data["files"][name] = data["files"]["README.md"]
        (folder / MANIFEST).write_text(json.dumps(data))

    return climb


def linked(folder: Path) -> None:
    (folder / "task.json").rename(folder.parent / "task.json")
    (folder / "task.json").symlink_to(folder.parent / "task.json")


def half_the_weights(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    name = max(weights, key=lambda name: weights[name].numel())
    weights[name] = weights[name][: len(weights[name]) // 2].clone()
    save_file(weights, folder / "weights.safetensors")


def renamed_weights(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    save_file({f"x.{name}": t for name, t in weights.items()}, folder / "weights.safetensors")


_HUGE = {
    "format": 1,
    "skeleton": "residual",
    "stem": "regular",
    "stages": [{"width": 2048, "blocks": [["regular", "regular"]]}],
}

DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), "manifest.json is missing"),
    "a manifest that is no JSON": (
        lambda folder: (folder / MANIFEST).write_text("{"),
        "is no JSON",
    ),
    "a manifest of another format": (edited(MANIFEST, format=2), "none that this version reads"),
    "a manifest without files": (edited(MANIFEST, files=None), "lists no files"),
    "an empty manifest": (edited(MANIFEST, files={}), "does not list README.md"),
    "a path that climbs out": (climbing("../outside"), r"names '\.\./outside', which leads out"),
    "an absolute path": (climbing("/etc/passwd"), "names '/etc/passwd', which leads out"),
    "a path with backslashes": (climbing("..\\outside"), "which leads out"),
    "the folder above": (climbing(".."), "which leads out"),
    "a link": (linked, "is a link"),
    "a hostile pickle": (
        text("weights.safetensors", pickle.dumps(Hostile())),
        "are no weights in safetensors form",
    ),
    "weights cut off": (
        resealed(lambda folder: os.truncate(folder / "weights.safetensors", 1000)),
        "are no weights in safetensors form",
    ),
    "fewer weights": (resealed(half_the_weights), "do not belong together"),
    "weights of other names": (resealed(renamed_weights), "do not belong to this architecture"),
    "an architecture of 75 million weights": (
        text("architecture.json", json.dumps(_HUGE)),
        "do not belong together",
    ),
    "an architecture that is none": (text("architecture.json", "[]"), "is a JSON object"),
    "an architecture of bytes": (text("architecture.json", b"\xff\xfe"), "is no JSON"),
    "another architecture": (
        resealed(
            lambda folder: (folder / "architecture.json").write_text(
                get("mixed").decode({"stage1.width": "16"}).text
            )
        ),
        "do not belong together",
    ),
    "a task of brackets": (text("task.json", "[" * 100_000), "is no JSON"),
    "a task without classes": (text("task.json", '{"shape": [3, 8, 8]}'), "needs shape, mean"),
    "a task of a huge image": (
        resealed(edited("task.json", shape=[3, 8, 10**9])),
        "too many to be true",
    ),
    "a task of an infinite image": (
        text("task.json", '{"shape": [3, 8, 1e999], "mean": [], "std": [], "classes": []}'),
        "needs shape, mean",
    ),
    "a task of too many channels": (
        resealed(edited("task.json", shape=[5000, 8, 8])),
        "is none of an image",
    ),
    "a task that divides by zero": (resealed(edited("task.json", std=[1, 0, 1])), "std above 0"),
    "a task that is inconsistent": (
        resealed(edited("task.json", mean=[0])),
        "one number for each channel",
    ),
    "more classes": (resealed(edited("task.json", classes=["a"] * 9)), "do not belong together"),
    "a record of nothing": (text("record.json", "{}"), "needs search, validation and test"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line_and_executes_nothing(
    folder: Path, damage: Callable[[Path], object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(folder)
    monkeypatch.chdir(folder.parent)
    with pytest.raises((BundleError, InvalidArchitectureError), match=reason) as caught:
        Bundle.read(folder)
    assert "\n" not in str(caught.value)
    assert not Path("hacked").exists()


def test_no_folder_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such folder"):
        Bundle.read(tmp_path / "none")


def test_a_form_that_gives_other_outputs_is_noticed(folder: Path) -> None:
    other = build(made().architecture, 3, 3, seed=2).eval()
    with pytest.raises(BundleError, match="gives other outputs than the network that was exp"):
        verify(folder, other, TASK.shape)


class Rounding(nn.Module):
    """The exported network, with digits lost in float32 alone, and logits that are shifted."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.network, self.shift = made().network, shift

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return (logits + 1e3) - 1e3 + self.shift


def test_a_form_is_held_to_float64_and_not_to_what_float32_rounds(folder: Path) -> None:
    network = Rounding(0.0).eval()
    images = torch.rand(7, *TASK.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert float((network(images) - network.network(images)).abs().max()) > 1e-5
    verify(folder, network, TASK.shape)


def test_a_form_that_is_farther_off_than_float32_rounds_is_noticed(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"other outputs .* by 9\.\de-04 where .* be rounding"):
        verify(folder, Rounding(1e-3).eval(), TASK.shape)


def test_a_network_that_takes_float32_alone_is_compared_in_float32(folder: Path) -> None:
    class Strict(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = made().network

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.network(images)
            return logits @ torch.eye(3)

    verify(folder, Strict().eval(), TASK.shape)


def test_a_form_that_needs_our_packages_is_noticed(folder: Path) -> None:
    model = folder / "model.py"
    model.write_text(f"import nas_space\n{model.read_text()}")
    with pytest.raises(BundleError, match="cannot be opened in a fresh process: ModuleNotFound"):
        verify(folder, made().network, TASK.shape)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match="cannot write"):
        made().write(tmp_path / "file" / "out", lambda _: "card")
    for folder in (tmp_path / "file" / "out", tmp_path / ("x" * 300)):
        with pytest.raises(BundleError, match="cannot write"):
            prepare(folder)


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, unlimited[1]))
    try:
        with pytest.raises(BundleError, match=r"cannot write .*out: File too large"):
            made().write(tmp_path / "out", lambda _: "card")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_already_is_left_alone(written: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        prepare(written)
