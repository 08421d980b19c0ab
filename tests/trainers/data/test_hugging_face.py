"""Data sets that Hugging Face's `datasets` saved, as its version 5.2 writes them."""

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.image_tables import album, picture, write
from trainers.data.registry import load
from trainers.data.splits import DatasetError
from trainers.data.tables.embedded import Embedded, content

IMAGE, CLASS = {"_type": "Image"}, {"_type": "ClassLabel", "names": ["cat", "dog"]}


def save(
    folder: Path,
    rows: Sequence[tuple[Path, int]],
    features: Mapping[str, object] | None = None,
    *,
    embedded: bool = True,
    shards: int = 2,
) -> str:
    """What ``save_to_disk`` writes of a data set without splits."""
    folder.mkdir(parents=True)
    features = features or {"img": IMAGE, "label": CLASS}
    names = []
    for shard in range(shards):
        part = rows[shard::shards]
        images = [
            {"bytes": path.read_bytes() if embedded else None, "path": str(path)}
            for path, _ in part
        ]
        values = dict(zip(features, (images, [label for _, label in part]), strict=False))
        table = pa.table(values)
        names.append(f"data-{shard:05}-of-{shards:05}.arrow")
        with pa.ipc.new_stream(str(folder / names[-1]), table.schema) as stream:
            stream.write_table(table, max_chunksize=3)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features, "license": ""}))
    return str(folder)


def labelled(root: Path) -> list[tuple[Path, int]]:
    return [(root / path, int(label == "dog")) for path, label in album(root)]


@pytest.mark.parametrize("embedded", [True, False])
def test_it_is_the_table_of_the_same_images(embedded: bool, tmp_path: Path) -> None:
    rows = labelled(tmp_path)
    train, test = rows[2:-2], rows[:2] + rows[-2:]
    for split, part in (("train", train), ("test", test), ("unsupervised", [])):
        save(tmp_path / "saved" / split, part, embedded=embedded)
    (tmp_path / "saved" / "dataset_dict.json").write_text(
        '{"splits": ["train", "test", "unsupervised"]}'
    )
    found = load(str(tmp_path / "saved"), image_size=8)
    # Shards hold every second image: the order is theirs.
    ordered = [(*row, "train") for row in train[::2] + train[1::2]]
    ordered += [(*row, "test") for row in test[::2] + test[1::2]]
    texts = [(str(path), ("cat", "dog")[label], split) for path, label, split in ordered]
    expected = load(write(tmp_path / "a.csv", ("path", "label", "split"), texts), image_size=8)
    assert found.fingerprint == expected.fingerprint
    assert np.array_equal(found.open_test().pixels, expected.open_test().pixels)
    assert found.remarks == ("splits that are not read: unsupervised",)
    alone = load(str(tmp_path / "saved" / "train"), image_size=8)
    assert len(alone.search.train) + len(alone.search.val) + len(alone.open_test()) == 16


def test_an_image_inside_is_like_a_file_to_other_processes(tmp_path: Path) -> None:
    (path, _), *_ = rows = labelled(tmp_path)
    save(tmp_path / "saved", rows)
    arrow = tmp_path / "saved" / "data-00000-of-00002.arrow"
    image = pickle.loads(pickle.dumps(Embedded(arrow, "img", "0")))  # noqa: S301
    assert image.is_file()
    assert image.stat().st_mtime == arrow.stat().st_mtime
    assert content(image).getvalue() == path.read_bytes()
    assert content(path) == path
    assert not Embedded(tmp_path / "lost.arrow", "img", "0").is_file()


def test_a_broken_image_inside_is_named(tmp_path: Path) -> None:
    rows = labelled(tmp_path)
    rows[4][0].write_bytes(b"rubbish")
    where = "saved/data-00000-of-00002.arrow/img/2"
    with pytest.raises(DatasetError, match=f"cannot decode the image .*{where} .cannot identify"):
        load(save(tmp_path / "saved", rows))


def test_what_has_no_images_or_no_labels_is_one_line(tmp_path: Path) -> None:
    rows = labelled(tmp_path)
    texts = {"text": {"_type": "Value"}, "label": CLASS}
    with pytest.raises(DatasetError, match="has no column of images: its columns are label, text"):
        load(save(tmp_path / "texts", rows, texts))
    boxes = {"image": IMAGE, "boxes": {"_type": "Sequence"}}
    with pytest.raises(DatasetError, match=r"has no column of labels: .* or be called label"):
        load(save(tmp_path / "boxes", rows, boxes))
    hidden = [(path, -1) for path, _ in rows]
    with pytest.raises(DatasetError, match="has an image without a label: row 0 of data-00000"):
        load(save(tmp_path / "hidden", hidden))
    save(tmp_path / "damaged", rows)
    arrow = tmp_path / "damaged" / "data-00001-of-00002.arrow"
    arrow.write_bytes(arrow.read_bytes()[:90])
    with pytest.raises(DatasetError, match="damaged is damaged: "):
        load(str(tmp_path / "damaged"))
    (tmp_path / "damaged" / "state.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"state.json is missing or damaged: save the data set"):
        load(str(tmp_path / "damaged"))


def test_a_folder_of_classes_may_hold_such_files_of_its_own(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for at in range(10):
            picture(tmp_path / label / f"{at}.png", seed=at)
    (tmp_path / "state.json").write_text("{}")
    assert load(str(tmp_path)).search.classes == ("cat", "dog")
