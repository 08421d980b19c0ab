"""The images of a study, read again."""

from pathlib import Path

from nas_space.plugins import is_path
from nas_space.waiting import waiting
from studies.cli import CommandError
from studies.records.tables import Study
from trainers.data.reading import Reading
from trainers.data.registry import load, place_of
from trainers.data.splits import Dataset, Subset


def read(
    study: Study,
    subset: int | Subset | None,
    moved: str | None = None,
    data_dir: Path | None = None,
) -> Dataset:
    """The data set of a study, or more or fewer of its images.

    Args:
        study: names the data set.
        subset: how many images to use, see `trainers.data.registry.load`; None takes all.
        moved: where the images are now, if they were moved.
        data_dir: keeps downloads.

    Raises:
        CommandError: its folder or table is not there.
        DatasetError: it cannot be read.
    """
    stored = study.dataset
    # A database may come from anyone: what it names is not run.
    if moved is None and is_path(stored["name"]):
        raise CommandError(
            f"the images of study {study.name} come from the function {stored['name']}: name it, "
            "with --dataset MODULE:FUNCTION"
        )
    place = place_of(moved or stored["name"])
    if place.is_absolute() and not place.exists():
        raise CommandError(
            f"the images of study {study.name} are not in {place}: say where they are now, with "
            "--dataset PATH"
        )
    # A database may come from anyone: it may say where downloads are, but not where to write.
    asked = data_dir is not None or not stored["data_dir"]
    with waiting(f"reading the images of {moved or stored['name']}") as say:
        return load(
            moved or stored["name"],
            image_size=stored["image_size"],
            subset=subset,
            data_dir=data_dir,
            kept=None if asked else Path(stored["data_dir"]),
            flip=stored["flip"],
            reading=Reading.recorded(stored.get("reading")),
            say=say,
        )


def searched(study: Study, moved: str | None = None, data_dir: Path | None = None) -> Dataset:
    """Exactly the images that a study was searched on.

    Raises:
        CommandError: the images have changed.
        DatasetError: they cannot be read.
    """
    dataset = read(study, _subset(study), moved, data_dir)
    if dataset.fingerprint != study.dataset["fingerprint"]:
        raise CommandError(
            f"{dataset.search.name} is not what study {study.name} was searched on: images, "
            "classes or splits have changed"
        )
    return dataset


def option(study: Study) -> str:
    """What a command that reads the images again needs, beside the study's name; often nothing."""
    name = study.dataset["name"]
    return f" --dataset {name}" if is_path(name) else ""


def _subset(study: Study) -> Subset | None:
    train, val = study.dataset["subset"], study.dataset.get("val_subset")
    if train is None:
        return None
    return Subset.earlier(train) if val is None else Subset(train, val)
