"""The files of a data set, by class; of a folder of images, and what of it is no image or class."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

from nas_space.pictures import FORMATS, opened
from trainers.data.reading import BROKEN, Reading, limited
from trainers.data.splits import DatasetError

_EARLIER_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
"""Those that convnas took before 2026-12."""
_ALIASES = {"MPO": "JPEG"}
"""Formats whose files Pillow opens as another: those of phones, with several pictures."""
_ARRAYS = frozenset({".npy"})
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What users call the splits."""
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image file, and the name of its class."""

    path: Path
    label: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a data set.

    Attributes:
        files: of each split that it has; train is one of them.
        classes: those of train, in the order of their names.
        remarks: a line about each kind of thing that is not read.
    """

    files: Mapping[str, Sequence[Labelled]]
    classes: tuple[str, ...]
    remarks: tuple[str, ...]


Lister = Callable[[Path, Reading], Listing]
"""Finds the files of what lies at a path; raises DatasetError if it cannot."""


@dataclass(slots=True)
class _Seen:
    """What a walk through the folders passes over.

    Attributes:
        kinds: the suffixes of image files.
    """

    kinds: frozenset[str]
    lost: list[str] = field(default_factory=list)
    nested: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)


def listed(root: Path, reading: Reading) -> Listing:
    """Find the images of a folder with a sub-folder for each class, or with splits of such.

    Args:
        root: with or without train, val and test folders.
        reading: of the files; those without a suffix are looked into.

    Raises:
        DatasetError: no images, or classes that cannot be told.
    """
    earlier = reading.earlier
    folders, files, seen = _found(root, reading, _Seen(suffixes()))
    if not earlier and folders.get("train") != root:
        _pass_over(root, seen)
    for split, found in files.items():
        if not found:
            raise DatasetError(_nothing_in(folders[split], seen))
    classes = tuple(sorted({file.label for file in files["train"]}))
    for label in classes:
        if not label.isprintable():
            raise DatasetError(f"the class folder {label!r} in {root} needs a printable name")
    for split, found in files.items():
        for file in found:
            if file.label not in classes:
                where = folders[split] / file.label
                raise DatasetError(f"{where} is a class that the train folder does not have")
    remarks = () if earlier else tuple(map(_printable, _remarks(seen, files, classes)))
    if len(classes) == 1:
        why = "".join(f"; {remark}" for remark in remarks)
        raise DatasetError(f"{root} has one class; a classifier needs at least 2{why}")
    return Listing(files, classes, remarks)


def _found(
    root: Path, reading: Reading, seen: _Seen
) -> tuple[dict[str, Path], dict[str, list[Labelled]], _Seen]:
    """The folder of each split, its images, and what is passed over."""
    with limited(reading.max_pixels):
        folders = _split_folders(root, seen)
        if reading.earlier:
            return folders, {split: _flat(folder) for split, folder in folders.items()}, seen
        files = {split: _walked(folder, seen) for split, folder in folders.items()}
    # Beside images arrays are something else, such as features.
    if seen.kinds is not _ARRAYS and not any(files.values()):
        return _found(root, reading, _Seen(_ARRAYS))
    return folders, files, seen


def of_rows(
    root: Path, files: Mapping[str, Sequence[Labelled]], remarks: Sequence[str] = ()
) -> Listing:
    """The listing of what has no folders for its classes.

    Args:
        root: the table, or the folder that has tables.
        files: of each split, and their labels as they are there.
        remarks: see `Listing`.

    Raises:
        DatasetError: there is no training split, or its classes are not those of the others.
    """
    if "train" not in files:
        raise DatasetError(f"{root} has {' and '.join(files) or 'no images'}, but no train split")
    # As the folders of classes: see `_walked`.
    named = {
        split: [Labelled(file.path, unicodedata.normalize("NFC", file.label)) for file in found]
        for split, found in files.items()
    }
    classes = tuple(sorted({file.label for file in named["train"]}))
    for label in classes:
        if not label.isprintable():
            raise DatasetError(f"the class {label!r} in {root} needs a printable name")
    for split, found in named.items():
        strange = sorted({file.label for file in found} - set(classes))
        if strange:
            raise DatasetError(f"{root} has classes in {split} that train lacks: {some(strange)}")
    if len(classes) == 1:
        raise DatasetError(f"{root} has one class; a classifier needs at least 2")
    told = [*remarks, *_absent(named, classes)]
    return Listing(named, classes, tuple(map(_printable, told)))


@cache
def suffixes() -> frozenset[str]:
    """Those of the formats that the installed Pillow reads, of those that we let it."""
    Image.init()
    readable = set(FORMATS) & Image.OPEN.keys()
    kinds = Image.registered_extensions().items()
    return frozenset(suffix for suffix, kind in kinds if _ALIASES.get(kind, kind) in readable)


def _remarks(
    seen: _Seen, files: Mapping[str, Sequence[Labelled]], classes: tuple[str, ...]
) -> Iterator[str]:
    if seen.lost:
        yield f"not read as classes: {some(seen.lost)}"
    if seen.nested:
        names = [f"{label} ({count:,})" for label, count in seen.nested.items()]
        yield f"images in folders inside a class are of that class: {some(names)}"
    if seen.passed:
        kinds = [f"{count:,} {kind}" for kind, count in seen.passed.most_common()]
        yield f"files passed over: {seen.passed.total():,}: {some(kinds)}"
    yield from _absent(files, classes)


def _absent(files: Mapping[str, Sequence[Labelled]], classes: tuple[str, ...]) -> Iterator[str]:
    for split, found in files.items():
        missing = sorted(set(classes) - {file.label for file in found})
        if missing:
            yield f"classes without an image in {split}: {some(missing)}"


def some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + f" and {more:,} more" * (more > 0)


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _nothing_in(folder: Path, seen: _Seen) -> str:
    kinds = f"; found {', '.join(seen.passed)}" * bool(seen.passed)
    return (
        f"no images in {folder}: it must hold a sub-folder for each class, with image files "
        f"({' '.join(sorted(_EARLIER_SUFFIXES))} …) in it{kinds}"
    )


def _split_folders(root: Path, seen: _Seen) -> dict[str, Path]:
    """The folder of each split; the root itself is train if its sub-folders are classes."""
    folders = _subfolders(root)
    splits: dict[str, Path] = {}
    for folder in folders:
        split = SPLITS.get(folder.name.lower())
        if split in splits:
            raise DatasetError(f"{root} has two {split} folders: {splits[split]} and {folder}")
        if split is not None:
            splits[split] = folder
    strangers = [folder for folder in folders if folder not in splits.values()]
    if splits and not strangers:
        if "train" not in splits:
            raise DatasetError(f"{root} has a {min(splits)} folder but no train folder beside it")
        return splits
    # "train" may also be a class, next to "car" and "plane": then images are directly in it.
    if "train" in splits and not any(_is_image(path, seen) for path in _entries(splits["train"])):
        raise DatasetError(
            f"{strangers[0]} stands beside {splits['train']} but is no split: move it away"
        )
    return {"train": root}


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, but for what systems hide there."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX")))


def _subfolders(root: Path) -> list[Path]:
    return [path for path in _entries(root) if path.is_dir()]


def _flat(folder: Path) -> list[Labelled]:
    """As convnas found them before 2026-12."""
    return [
        Labelled(path, group.name)
        for group in _subfolders(folder)
        for path in _entries(group)
        if path.suffix.lower() in _EARLIER_SUFFIXES
    ]


def _walked(folder: Path, seen: _Seen) -> list[Labelled]:
    """The images of each class, also of folders inside it."""
    _pass_over(folder, seen)
    found = []
    for group in _subfolders(folder):
        if folder.resolve().is_relative_to(group.resolve()):
            seen.lost.append(f"{group} leads back to {folder}")
            continue
        # Forms of Unicode that look the same: a Mac writes the one, most others the other.
        label = unicodedata.normalize("NFC", group.name)
        images = list(_below(group, seen))
        found += [Labelled(path, label) for path in images]
        seen.nested[label] += sum(path.parent != group for path in images)
        if not images:
            has = "no image" if any(_entries(group)) else "nothing"
            seen.lost.append(f"{group} holds {has}")
    seen.nested = +seen.nested
    return found


def _below(group: Path, seen: _Seen) -> Iterator[Path]:
    for path in _entries(group):
        if path.is_dir() and not _is_image(path, seen):
            if path.is_symlink():
                seen.passed["links to folders"] += 1
            else:
                yield from _below(path, seen)
        elif _is_image(path, seen):
            yield path
        else:
            seen.passed[path.suffix.lower() or "without suffix"] += 1


def _pass_over(folder: Path, seen: _Seen) -> None:
    """Note the files beside the folders of classes, and links that lead nowhere."""
    for path in _entries(folder):
        if path.is_symlink() and not path.exists():
            seen.lost.append(f"{path} is a link to nothing")
        elif not path.is_dir():
            seen.passed[f"{path.suffix.lower() or 'without suffix'} beside the classes"] += 1


def _is_image(path: Path, seen: _Seen) -> bool:
    """Whether it has the suffix of one, or none and is one."""
    if path.suffix:
        return path.suffix.lower() in seen.kinds
    try:
        if not path.is_file():  # reading a pipe may never end
            return False
        with opened(path, earlier=False):
            return True
    except BROKEN:
        return False
