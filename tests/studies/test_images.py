"""The images of a study are read again as they were read for its search."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies import images
from studies.cli import CommandError
from studies.records.tables import Study
from tests.examples import study
from tests.image_tables import album, write
from trainers.data.reading import MAX_PIXELS, Reading
from trainers.data.registry import load


@pytest.fixture
def icons(tmp_path: Path) -> Path:
    """Black, as far as they are seen; and grey ones of 12 bits."""
    chance = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "icons" / label).mkdir(parents=True)
        for i in range(10):
            pixels = chance.integers(0, 256, (8, 8, 4), dtype=np.uint8)
            pixels[..., :3] = 0
            Image.fromarray(pixels).save(tmp_path / "icons" / label / f"{i}.png")
            levels = chance.integers(0, 2**12, (8, 8), dtype=np.uint16)
            Image.fromarray(levels).save(tmp_path / "icons" / label / f"{i}-grey.png")
    return tmp_path / "icons"


def searched(folder: Path, max_pixels: int = MAX_PIXELS) -> Study:
    """A study on these images, as a search stores it."""
    found = load(str(folder), reading=Reading(max_pixels=max_pixels))
    made = study()
    made.dataset = made.dataset | {
        "name": str(folder),
        "flip": True,
        "fingerprint": found.fingerprint,
        "reading": found.reading.to_json(),
    }
    return made


def test_with_what_was_decided_for_all_of_them(icons: Path) -> None:
    found = searched(icons, max_pixels=64)
    assert found.dataset["reading"] == {"bits": 12, "max_pixels": 64, "earlier": False}
    assert images.searched(found).reading == Reading(12, 64)
    # Even where those that are taken now would say something else.
    assert images.read(found, subset=4).reading == Reading(12, 64)


def test_a_study_of_before_that_was_decided_keeps_its_images(icons: Path) -> None:
    found = searched(icons)
    now = found.dataset.pop("reading")
    assert now is not None
    with pytest.raises(CommandError, match="is not what study"):
        images.searched(found)
    before = images.read(found, subset=None)
    assert before.reading.earlier
    found.dataset["fingerprint"] = before.fingerprint
    assert images.searched(found).search.train.pixels.max() < 2**4


def test_those_of_a_table_are_found_again_and_may_be_moved(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", ("path", "label"), album(tmp_path))
    found = searched(Path(table))
    assert images.searched(found).fingerprint == found.dataset["fingerprint"]
    (tmp_path / "moved").mkdir()
    for name in ("a.csv", "all"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    with pytest.raises(CommandError, match=r"are not in .*a.csv: say where they are now"):
        images.searched(found)
    moved = str(tmp_path / "moved" / "a.csv")
    assert images.searched(found, moved).search.name == moved
    lines = Path(moved).read_text().replace("all/000.png,cat", "all/000.png,dog")
    Path(moved).write_text(lines)
    with pytest.raises(CommandError, match="is not what study s was searched on"):
        images.searched(found, moved)
