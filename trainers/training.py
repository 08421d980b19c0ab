"""The training loop: a module, data and a recipe in, numbers out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.batches import Batches, cross_entropy
from trainers.data import Images, SearchData
from trainers.devices import Device
from trainers.recipes import Recipe

_EVALUATION_BATCH = 1024


class TrainingDivergedError(RuntimeError):
    """The loss became infinite or not a number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training gave.

    Attributes:
        val_accuracy: share of the validation images that are classified right, 0 to 1.
        train_loss: mean loss of the last epoch.
        seconds: wall time of training and validation.
    """

    val_accuracy: float
    train_loss: float
    seconds: float


def train(
    module: nn.Module,
    data: SearchData,
    recipe: Recipe,
    *,
    seed: int,
    device: Device,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Train a module in place and measure it on the validation split.

    On a CPU the same seed, recipe, data and number of threads give the same numbers.

    Args:
        module: maps (N, C, H, W) to logits (N, classes); moved to the device.
        data: what the search may see.
        recipe: how to train.
        seed: of the order of images and their augmentation. The module's own weights are seeded
            where it is built.
        device: where to train.
        on_epoch: called with the number of finished epochs and the mean loss of the last.

    Raises:
        TrainingDivergedError: the loss is infinite or not a number at the end of an epoch.
    """
    start = time.perf_counter()
    module.to(device.where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = Batches(data.train, data, device.where, recipe.shift)
    generator = torch.Generator().manual_seed(seed)
    size = recipe.batch(len(batches))
    steps = recipe.epochs * (len(batches) // size)
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=recipe.peak_lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
        fused=True,
    )
    scaler = torch.amp.GradScaler(device.where.type, enabled=device.amp is torch.float16)
    step, loss = 0, math.nan
    for epoch in range(1, recipe.epochs + 1):
        module.train()
        total = torch.zeros((), device=device.where)
        first = step
        for images, labels in batches.shuffled(size, generator):
            for group in optimizer.param_groups:
                group["lr"] = one_cycle(step / steps, recipe)
            total += _step(module, optimizer, scaler, device, recipe, images, labels)
            step += 1
        # One look at the device an epoch: it may run ahead in between.
        loss = total.item() / (step - first)
        if not math.isfinite(loss):
            raise TrainingDivergedError(f"the loss became {loss} in epoch {epoch}")
        if on_epoch is not None:
            on_epoch(epoch, loss)
    accuracy = evaluate(module, data.val, data, device=device)
    return Outcome(accuracy, loss, time.perf_counter() - start)


def evaluate(module: nn.Module, images: Images, data: SearchData, *, device: Device) -> float:
    """Share of the images that the module classifies right, 0 to 1."""
    module.to(device.where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.eval()
    batches = Batches(images, data, device.where)
    right = torch.zeros((), dtype=torch.int64, device=device.where)
    with torch.inference_mode(), device.autocast():
        for pixels, labels in batches.plain(_EVALUATION_BATCH):
            right += (module(pixels).argmax(dim=1) == labels).sum()
    return int(right.item()) / len(batches)


def one_cycle(progress: float, recipe: Recipe) -> float:
    """Learning rate after a share of all steps: a linear climb, then a cosine fall to 0."""
    if progress < recipe.warmup:
        return recipe.peak_lr * (progress / recipe.warmup * 0.9 + 0.1)
    rest = (progress - recipe.warmup) / (1 - recipe.warmup)
    return recipe.peak_lr * 0.5 * (1 + math.cos(math.pi * rest))


def _step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    device: Device,
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
) -> Tensor:
    with device.autocast():
        logits = module(images)
    loss = cross_entropy(logits, labels, recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()
