"""Data sets that are downloaded: read from disk when there, one clear line when not."""

import hashlib
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as tv

from trainers.data.registry import load
from trainers.data.splits import DatasetError


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


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses connections stands for a machine without a network."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")


class Hostile:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self._trace), os.O_CREAT | os.O_WRONLY)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(("data_dir", "kept"), [("data", None), ("elsewhere", "data")])
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_that_is_not_cifars_own_is_refused_and_not_executed(
    name: str, data_dir: str, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar10(tmp_path / "data", monkeypatch)
    trace = tmp_path / "hacked"
    tampered = tmp_path / "data" / tv.CIFAR10.base_folder / name
    tampered.write_bytes(pickle.dumps(Hostile(trace)))
    with pytest.raises(DatasetError, match="cannot get cifar10"):
        load("cifar10", data_dir=tmp_path / data_dir, kept=tmp_path / kept if kept else None)
    assert not trace.exists()
    os.close(pickle.loads(tampered.read_bytes()))  # noqa: S301 - it would have been
    assert trace.exists()


@pytest.mark.usefixtures("_no_network")
def test_svhn_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    for file in ("train_32x32.mat", "test_32x32.mat"):
        (tmp_path / file).write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    for data_dir in (tmp_path, tmp_path / "x"):
        with pytest.raises(DatasetError, match="cannot get svhn"):
            load("svhn", data_dir=data_dir, kept=tmp_path)


def test_a_folder_that_may_hold_the_files_already_is_read_and_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar10(tmp_path / "kept", monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    assert len(load("cifar10", data_dir=tmp_path / "x", kept=tmp_path / "kept").search.train) == 240
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("_no_network")
def test_a_folder_to_look_into_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot get cifar10"):
        load("cifar10", data_dir=tmp_path / "mine", kept=tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn"])
def test_without_a_network_it_says_so_in_one_line(name: str, tmp_path: Path) -> None:
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
