"""Data sets that are downloaded: read from disk when there, one clear line when not."""

import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as tv

from trainers.data import DatasetError
from trainers.datasets import load


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in CIFAR-10's own format, with torchvision's checksums set to theirs."""
    base = root / tv.CIFAR10.base_folder
    base.mkdir(parents=True)
    chance = np.random.default_rng(0)

    def write(name: str, content: object) -> tuple[str, str]:
        data = pickle.dumps(content)
        (base / name).write_bytes(data)
        return name, hashlib.md5(data, usedforsecurity=False).hexdigest()

    def batch(count: int) -> dict[str, object]:
        pixels = chance.integers(0, 256, (count, 3072), dtype=np.uint8)
        return {"data": pixels, "labels": [i % 10 for i in range(count)]}

    names = [name for name, _ in tv.CIFAR10.train_list]
    monkeypatch.setattr(tv.CIFAR10, "train_list", [write(name, batch(60)) for name in names])
    monkeypatch.setattr(tv.CIFAR10, "test_list", [write("test_batch", batch(40))])
    labels = {"label_names": [f"class {i}" for i in range(10)]}
    name, md5 = write("batches.meta", labels)
    meta = {"filename": name, "key": "label_names", "md5": md5}
    monkeypatch.setattr(tv.CIFAR10, "meta", meta)


def test_cifar10_is_read_in_its_own_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, monkeypatch)
    dataset = load("cifar10", data_dir=tmp_path)
    assert dataset.search.shape == (3, 32, 32)
    assert (len(dataset.search.train), len(dataset.search.val)) == (240, 60)
    assert len(dataset.open_test()) == 40
    assert dataset.search.classes[3] == "class 3"
    assert dataset.search.flip


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn"])
def test_without_a_network_it_says_so_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy that refuses connections stands for a machine without a network.
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match=rf"cannot get {name}: .*--dataset a folder") as caught:
        load(name, data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / tv.CIFAR10.filename
    archive.write_bytes(b"not a tar file")
    checksum = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(tv.CIFAR10, "tgz_md5", checksum)
    with pytest.raises(DatasetError, match=r"cannot get cifar10: .*delete a damaged file"):
        load("cifar10", data_dir=tmp_path)
    assert not tarfile.is_tarfile(archive)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot get svhn"):
        load("svhn", data_dir=tmp_path / "file" / "below")
