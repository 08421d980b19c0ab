"""A data set of Hugging Face's `datasets` on disk, as its ``save_to_disk`` writes it.

Its images lie in Arrow files, which pyarrow reads: `datasets` need not be installed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainers.data.listing import SPLITS, Labelled, Listing, of_rows, some
from trainers.data.reading import Reading
from trainers.data.splits import DatasetError
from trainers.data.tables.embedded import Embedded, rows
from trainers.data.tables.files import LABELS, PATHS, column

_SPLITS_FILE, _STATE_FILE, _INFO_FILE = "dataset_dict.json", "state.json", "dataset_info.json"


def is_one(folder: Path) -> bool:
    """Whether a folder is such a data set."""
    return (folder / _SPLITS_FILE).is_file() or (
        (folder / _STATE_FILE).is_file() and (folder / _INFO_FILE).is_file()
    )


def listed(folder: Path, reading: Reading) -> Listing:  # noqa: ARG001 - as `listing.listed`
    """The images of a data set on disk.

    Args:
        folder: of one data set, which is split, or of several, which are its splits.
        reading: of the images.

    Raises:
        DatasetError: it is damaged, or has no column of images or of classes.
        MissingArrowError: pyarrow is not installed.
    """
    if not (folder / _SPLITS_FILE).is_file():
        return of_rows(folder, {"train": _images(folder)})
    files, unknown = {}, []
    for name in _json(folder / _SPLITS_FILE, "splits"):
        split = SPLITS.get(str(name).lower())
        if split is None:
            unknown.append(str(name))
        elif split in files:
            raise DatasetError(f"{folder} has two {split} splits")
        else:
            files[split] = _images(folder / str(name))
    remarks = [f"splits that are not read: {some(unknown)}"] if unknown else []
    return of_rows(folder, files, remarks)


def _images(folder: Path) -> list[Labelled]:
    features: Mapping[str, Any] = _json(folder / _INFO_FILE, "features")
    kinds = {name: one.get("_type") for name, one in features.items() if isinstance(one, dict)}
    image = _column(folder, kinds, "Image", PATHS, "images")
    label = _column(folder, kinds, "ClassLabel", LABELS, "labels")
    names: Sequence[str] | None = features[label].get("names")
    found = []
    for file in _json(folder / _STATE_FILE, "_data_files"):
        # A data set may come from anyone: it names no files elsewhere.
        arrow = folder / Path(str(file["filename"])).name
        try:
            places, labels = _places(arrow, image), rows(str(arrow))[label].to_pylist()
        except (OSError, KeyError, TypeError) as error:
            raise DatasetError(f"{folder} is damaged: {error}") from None
        for row, value in enumerate(labels):
            known = names is None or (isinstance(value, int) and 0 <= value < len(names))
            if value is None or not known:
                raise DatasetError(
                    f"{folder} has an image without a label: row {row} of {arrow.name}"
                )
            text = str(value) if names is None else str(names[value])
            found.append(Labelled(places[row], text))
    return found


def _places(arrow: Path, image: str) -> list[Path]:
    """Where the images of an Arrow file are: in it, or in files that it names."""
    table = rows(str(arrow))
    parts = zip(table.schema.field(image).type, table[image].flatten(), strict=True)
    columns = {part.name: values for part, values in parts}
    outside = zip(columns["bytes"].is_null().to_pylist(), columns["path"].to_pylist(), strict=True)
    return [
        arrow.parent / path if is_outside and path else Embedded(arrow, image, str(row))
        for row, (is_outside, path) in enumerate(outside)
    ]


def _column(
    folder: Path, kinds: Mapping[str, object], kind: str, known: Sequence[str], what: str
) -> str:
    """The column of a kind; if there are several or none, the one with a name that is known."""
    fitting = [name for name, found in kinds.items() if found == kind]
    if len(fitting) == 1:
        return fitting[0]
    among = fitting or ([] if kind == "Image" else list(kinds))
    at = column(among, known)
    if at is None:
        raise DatasetError(
            f"{folder} has no column of {what}: its columns are {some(sorted(kinds))}; one must be "
            f"a feature {kind}, or be called {known[0]}"
        )
    return among[at]


def _json(path: Path, key: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DatasetError(f"{path} is missing or damaged: save the data set again") from None
