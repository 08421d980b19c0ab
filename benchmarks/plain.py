"""The peer of the speed benchmarks: what a competent user would write with the same libraries.

A training loop on torch's DataLoader with torchvision's transforms, and a search by Ray Tune with
`OptunaSearch` on SQLite, both as their documentation puts them together. Networks, recipe, seeds
and splits are ours, so that the same trainings are compared.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from torchvision.transforms import v2

from nas_space.spaces.building import build
from nas_space.spaces.space import Space
from trainers.data.splits import Images, SearchData
from trainers.recipes import Recipe


class ImageDataset(TorchDataset[tuple[Tensor, int]]):
    """Images as PIL gives them to transforms."""

    def __init__(self, images: Images, transform: transforms.Compose) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.images.pixels[index]
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        return self.transform(picture), int(self.images.labels[index])


def loaders(
    data: SearchData, recipe: Recipe, workers: int
) -> tuple[DataLoader[tuple[Tensor, int]], DataLoader[tuple[Tensor, int]]]:
    """Batches of the train and the validation split."""
    side = data.shape[1]
    plain = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    augment: list[Any] = []
    if recipe.crop:
        augment.append(transforms.RandomResizedCrop(side, (recipe.crop, 1)))
    if recipe.shift:
        augment.append(transforms.RandomCrop(side, padding=round(side * recipe.shift)))
    augment += [transforms.RandomHorizontalFlip()] * data.flip
    augment += [transforms.TrivialAugmentWide()] * recipe.trivial
    if recipe.colour:
        augment.append(transforms.ColorJitter(*(recipe.colour,) * 3))
    erase = [transforms.RandomErasing(recipe.erasing)] if recipe.erasing else []
    train = ImageDataset(data.train, transforms.Compose([*augment, *plain, *erase]))
    val = ImageDataset(data.val, transforms.Compose(plain))
    size, stay = recipe.batch(len(train)), workers > 0
    return (
        DataLoader(
            train,
            size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=stay,
            collate_fn=_mixing(recipe, len(data.classes)),
        ),
        DataLoader(val, 256, num_workers=workers),
    )


def _mixing(recipe: Recipe, classes: int) -> Any:  # noqa: ANN401 - as a DataLoader takes it
    """What makes a batch, in the workers."""
    ways: list[Any] = []
    if recipe.mixup:
        ways.append(v2.MixUp(alpha=recipe.mixup, num_classes=classes))
    if recipe.cutmix:
        ways.append(v2.CutMix(alpha=recipe.cutmix, num_classes=classes))
    mix = v2.RandomChoice(ways) if ways else None
    return partial(_mixed, mix) if mix else None


def _mixed(mix: Any, images: list[tuple[Tensor, int]]) -> Any:  # noqa: ANN401 - as above
    return mix(*default_collate(images))


@dataclass(frozen=True)
class Trained:
    """What a training gave: accuracy, and the seconds of its epochs without the first."""

    val_accuracy: float
    epoch_seconds: tuple[float, ...]


def train(network: nn.Module, data: SearchData, recipe: Recipe, workers: int = 0) -> Trained:
    """Train a network as most do."""
    train_loader, val_loader = loaders(data, recipe, workers)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.peak_lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.peak_lr,
        epochs=recipe.epochs,
        steps_per_epoch=len(train_loader),
        pct_start=recipe.warmup,
        cycle_momentum=False,
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    seconds = []
    for _ in range(recipe.epochs):
        start = time.perf_counter()
        network.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            criterion(network(images), labels).backward()
            optimizer.step()
            schedule.step()
        seconds.append(time.perf_counter() - start)
    network.eval()
    right = 0
    with torch.no_grad():
        for images, labels in val_loader:
            right += int((network(images).argmax(1) == labels).sum())
    return Trained(right / len(data.val), tuple(seconds))


def search(
    space: Space,
    points: Sequence[dict[str, str]],
    data: SearchData,
    recipe: Recipe,
    *,
    workers: int,
    log: Path,
) -> None:
    """Evaluate these points of a space, as a search of theirs does.

    Args:
        space: whose parameters Optuna is told.
        points: what Optuna is asked to try first; the search ends after them.
        data: what to train on.
        recipe: how.
        workers: trials at a time, a core each.
        log: a line with the time is written to it when a training begins.
    """
    import optuna  # noqa: PLC0415 - only here
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    def trial(config: dict[str, Any], data: SearchData) -> None:
        with log.open("a", encoding="ascii") as lines:
            lines.write(f"{time.time()}\n")
        network = build(space.decode(config), data.shape[0], len(data.classes))
        macs = sum(parameter.numel() for parameter in network.parameters())
        tune.report({"accuracy": train(network, data, recipe).val_accuracy, "macs": macs})

    ray.init(include_dashboard=False, log_to_driver=False, num_cpus=workers)
    sampler = OptunaSearch(
        {p.name: optuna.distributions.CategoricalDistribution(p.labels) for p in space.parameters},
        metric=["accuracy", "macs"],
        mode=["max", "min"],
        points_to_evaluate=list(points),
        storage=optuna.storages.RDBStorage("sqlite:///plain.db"),
    )
    tune.Tuner(
        tune.with_resources(tune.with_parameters(trial, data=data), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=sampler, num_samples=len(points), max_concurrent_trials=workers
        ),
        run_config=tune.RunConfig(storage_path=str(Path.cwd() / "results"), verbose=0),
    ).fit()
