"""Zero-cost scores of the networks of a study."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nas_space.spaces.building import build
from studies.analysis.rank_correlation import FEWEST_NETWORKS
from studies.cli import CommandError
from studies.images import searched
from studies.records.tables import Evaluation, Study
from trainers import devices
from trainers.data.batches import Batches
from trainers.data.splits import SearchData
from trainers.scores import score, scores

_BATCH_IMAGES = 128


def suffice(study: Study, known: Sequence[Evaluation]) -> None:
    """Raise CommandError if a study has too few fully trained networks."""
    if len(known) < FEWEST_NETWORKS:
        raise CommandError(
            f"study {study.name} has trained {len(known)} networks to the end; correlations of "
            f"fewer than {FEWEST_NETWORKS} say nothing"
        )


def of(
    known: Sequence[Evaluation],
    study: Study,
    dataset: str | None = None,
    data_dir: Path | None = None,
) -> dict[str, list[float]]:
    """Every zero-cost score of some networks, by its name, on the study's training images.

    Args:
        known: evaluations of the study.
        study: of the evaluations.
        dataset: where its images are now, if they were moved.
        data_dir: keeps downloads.
    """
    devices.spare_threads(min(study.dataset["shape"][1:]))
    data = searched(study, dataset, data_dir).search
    images, labels = _batch(data)
    return {
        name: [
            score(
                which,
                build(
                    entry.parsed_architecture,
                    data.shape[0],
                    len(data.classes),
                    seed=entry.seed,
                ),
                images,
                labels,
                seed=entry.seed,
            )
            for entry in known
        ]
        for name, which in scores().items()
    }


def _batch(data: SearchData) -> tuple[Tensor, Tensor]:
    """The first training images, normalised."""
    return next(Batches(data.train, data, torch.device("cpu")).plain(_BATCH_IMAGES))
