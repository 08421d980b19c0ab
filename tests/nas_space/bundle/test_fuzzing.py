"""Exported folders that a forger has changed: one line of refusal, or a network that runs.

The manifest is made anew after each change, so that it is all that comes after it which is tried.
"""

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas_space.bundle import (
    Bundle,
    BundleError,
    Compared,
    Int8,
    Measured,
    Preprocessing,
    Record,
)
from nas_space.bundle.manifest import MANIFEST, seal
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from nas_space.spaces.skeletons import read_architecture

TASK = Preprocessing((3, 8, 8), (0.4, 0.5, 0.6), (0.2, 0.2, 0.3), ("cat", "dog", "bird"))
ARCHITECTURE = get("mixed").decode({"stage1.block1.conv1.setting": "1"})
MEASURED = Measured(0.5, 40, "quick", 6, 0)
COMPARED = Compared(0.5, 0.4, 40, -0.2, 0.1)
INT8 = Int8(COMPARED, COMPARED, 40, ("stem",), 0.01, 9, 8, 0.2, 0.1, "a machine")
FILES = ("record.json", "weights.safetensors", "architecture.json", "task.json")

# Each example has its own copy of the folder.
examples = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "out"
    weights = build(ARCHITECTURE, 3, 3).state_dict()
    record = Record(MEASURED, MEASURED, MEASURED, INT8)
    Bundle.assemble(ARCHITECTURE, TASK, record, weights).write(folder, lambda _: "card")
    return folder


def runs_or_is_refused(folder: Path) -> None:
    try:
        bundle = Bundle.read(folder)
    except (BundleError, InvalidArchitectureError) as error:
        assert_one_line(str(error))
        return
    with torch.inference_mode():
        outputs = bundle.network(torch.rand(2, *bundle.preprocessing.shape))
    assert outputs.shape == (2, len(bundle.preprocessing.classes))


def assert_one_line(text: str) -> None:
    assert text
    assert "\n" not in text


def damaged(exported: Path, place: Path, file: str, data: bytes) -> Path:
    shutil.copytree(exported, place, dirs_exist_ok=True)
    (place / file).write_bytes(data)
    (place / MANIFEST).unlink()
    seal(place)
    return place


@examples
@given(st.sampled_from(FILES), st.data())
def test_changed_bytes(exported: Path, tmp_path: Path, file: str, data: st.DataObject) -> None:
    content = bytearray((exported / file).read_bytes())
    # The first bytes say how the rest is to be read.
    most = data.draw(st.sampled_from([16, 400, len(content)]))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(most, len(content)) - 1))] = data.draw(
            st.integers(0, 255)
        )
    runs_or_is_refused(damaged(exported, tmp_path, file, bytes(content)))


@examples
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True))
def test_files_cut_off(exported: Path, tmp_path: Path, file: str, share: float) -> None:
    content = (exported / file).read_bytes()
    runs_or_is_refused(damaged(exported, tmp_path, file, content[: int(len(content) * share)]))


@examples
@given(st.sampled_from(FILES), st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_other_content(exported: Path, tmp_path: Path, file: str, content: bytes) -> None:
    runs_or_is_refused(damaged(exported, tmp_path, file, content))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("task.json", "3,", "Infinity,"),
        ("task.json", "3,", "1e999,"),
        ("task.json", "0.4", "1" + "0" * 400),
        ("task.json", "0.4", "1" + "0" * 5000),
        ("task.json", '"bird"', ",".join(['"bird"'] * 100_000)),
        ("task.json", "3,", "300000000,"),
        ("architecture.json", '"stem": "regular"', '"stem": "igc(L=4,M=2)"'),
    ],
    ids=lambda text: text[:20],
)
def test_values_beyond_reason(
    file: str, old: str, new: str, exported: Path, tmp_path: Path
) -> None:
    text = (exported / file).read_text()
    assert old in text
    folder = damaged(exported, tmp_path, file, text.replace(old, new, 1).encode())
    with pytest.raises((BundleError, InvalidArchitectureError)):
        Bundle.read(folder)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "nothing", "/proc/self/mem"])
def test_links_that_lead_to_no_file(file: str, target: str, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).unlink()
    (tmp_path / file).symlink_to(target)
    with pytest.raises(BundleError, match="is a link"):
        Bundle.read(tmp_path)


def test_an_architecture_that_its_weights_cannot_fill_takes_no_memory(
    exported: Path, tmp_path: Path
) -> None:
    # 75 million weights: refused by the smallness of the file, before they are made.
    large = ARCHITECTURE.text.replace('"width":4', '"width":2048')
    assert read_architecture(large).dimensions()["stage1.width"] == "2048"
    folder = damaged(exported, tmp_path, "architecture.json", large.encode())
    with pytest.raises(BundleError, match="do not belong together"):
        Bundle.read(folder)
