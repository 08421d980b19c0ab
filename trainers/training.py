"""The training loop: a module, data and a recipe in, numbers out."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from trainers.checkpoints import CheckpointStore, Mark, State
from trainers.data.balance import Answers, class_weights
from trainers.data.batches import Batches, cross_entropy
from trainers.data.splits import Images, SearchData
from trainers.descent import Descent, MovingAverage
from trainers.devices import Device
from trainers.fast import for_training, training
from trainers.fast.heap import kept_heap
from trainers.metrics import value_of
from trainers.recipes import SAMPLING, WEIGHTS, Recipe

_BEGINNING = Mark(0, math.nan, 0.0)
_EVALUATION_PIXELS = 2**20
"""Pixels of a batch without gradients: 1,024 images of 32×32, 20 of 224×224."""


class TrainingDivergedError(RuntimeError):
    """The loss or a weight became infinite or not a number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training.

    Attributes:
        val_accuracy: share of the validation images that are classified correctly, 0 to 1; or what
            the recipe's `metric` says instead.
        answers: to the validation images.
        train_loss: mean loss of the last epoch.
        seconds: wall time of training and validation.
    """

    val_accuracy: float
    answers: Answers
    train_loss: float
    seconds: float


class Trainer:
    """Trains networks on one data set, which it keeps on the device.

    Args:
        data: what a search may see.
        recipe: how to train.
        device: where to train.
    """

    def __init__(self, data: SearchData, recipe: Recipe, device: Device) -> None:
        self._recipe = recipe
        self._device = device
        self._train = Batches(
            data.train,
            data,
            device.where,
            recipe.shift,
            resolution=recipe.resolution,
            recipe=recipe,
        )
        self._val = Batches(data.val, data, device.where, resolution=recipe.val_resolution)
        self._classes = len(data.classes)
        self._weights, self._chances = None, None
        weights = class_weights(data.train.labels, self._classes)
        if recipe.balance == WEIGHTS:
            self._weights = torch.from_numpy(weights).to(device.where, torch.float32)
        elif recipe.balance == SAMPLING:
            self._chances = torch.from_numpy(weights[data.train.labels])

    def train(
        self,
        module: nn.Module,
        *,
        seed: int,
        on_epoch: Callable[[int, float], None] | None = None,
        checkpoint: CheckpointStore | None = None,
        until: int | None = None,
    ) -> Outcome:
        """Train a module in place and measure it on the validation split.

        On a CPU the same seed, recipe, data and number of threads give the same numbers.

        Args:
            module: maps (N, C, H, W) to logits (N, classes); moved to the device.
            seed: of the order of images and their augmentation. The module's own weights are
                seeded where it is built.
            on_epoch: called with the number of finished epochs and the mean loss of the last.
            checkpoint: saved after every epoch; if it holds a state, training continues from that,
                to the same numbers.
            until: epochs after which it stops, with the learning rate that the recipe has there;
                None trains for all epochs of the recipe.

        Raises:
            TrainingDivergedError: the loss is infinite or not a number at the end of an epoch, or a
                weight is after the last.
            CheckpointError: the checkpoint is damaged, or of another training.
        """
        device = self._device
        with kept_heap() if device.where.type == "cpu" else nullcontext():
            return self._train_in_steps(module, seed, on_epoch, checkpoint, until)

    def _train_in_steps(
        self,
        module: nn.Module,
        seed: int,
        on_epoch: Callable[[int, float], None] | None,
        checkpoint: CheckpointStore | None,
        until: int | None,
    ) -> Outcome:
        start = time.perf_counter()
        module.to(self._device.where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        fast = for_training(module)
        # What is infinite by itself, as a mask may be, tells nothing.
        finite = set(_finite(module))
        recipe, generator = self._recipe, torch.Generator().manual_seed(seed)
        size = recipe.batch(len(self._train))
        steps_an_epoch = len(self._train) // size
        steps, peak = recipe.epochs * steps_an_epoch, recipe.peak(size)
        optimizer = Descent(
            module.parameters(),
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            decays_vectors=recipe.decays_norms,
        )
        average = MovingAverage(module, recipe.ema) if recipe.ema else None
        half = self._device.amp is torch.float16
        scaler = torch.amp.GradScaler(self._device.where.type, enabled=half)
        state = State(module, optimizer, generator, scaler, average)
        mark = (checkpoint.restore(state) if checkpoint is not None else None) or _BEGINNING
        before, loss = mark.seconds, mark.loss
        step = mark.epoch * steps_an_epoch
        last = recipe.epochs if until is None else min(until, recipe.epochs)
        for epoch in range(mark.epoch + 1, last + 1):
            module.train()
            total = torch.zeros((), device=self._device.where)
            with training(fast):
                for images, labels in self._train.shuffled(size, generator, self._chances):
                    optimizer.rate = peak * one_cycle(step / steps, recipe)
                    total += self._step(fast, optimizer, scaler, images, labels)
                    if average is not None:
                        average.update(step)
                    step += 1
            # The device is read once per epoch, so that the CPU need not wait for it in between.
            loss = total.item() / steps_an_epoch
            if not math.isfinite(loss):
                raise TrainingDivergedError(f"the loss became {loss} in epoch {epoch}")
            if checkpoint is not None:
                checkpoint.save(state, Mark(epoch, loss, before + time.perf_counter() - start))
            if on_epoch is not None:
                on_epoch(epoch, loss)
        lost = finite.difference(_finite(module))
        if lost:
            raise TrainingDivergedError(
                f"{min(lost)} became infinite or not a number by the end of epoch {last}"
            )
        if average is not None:
            module.load_state_dict(average.values)
        answers = _answers(module, self._val, self._classes)
        seconds = before + time.perf_counter() - start
        return Outcome(value_of(answers, recipe.metric), answers, loss, seconds)

    def _step(
        self,
        module: nn.Module,
        optimizer: Descent,
        scaler: torch.amp.GradScaler,
        images: Tensor,
        labels: Tensor,
    ) -> Tensor:
        with self._device.autocast():
            logits = module(images)
        loss = cross_entropy(logits, labels, self._recipe.label_smoothing, self._weights)
        optimizer.clear()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)  # type: ignore[arg-type]
        scaler.update()
        return loss.detach()


def _finite(module: nn.Module) -> Iterator[str]:
    """The names of parameters and buffers all of whose numbers are finite."""
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if bool(tensor.isfinite().all()):
            yield name


def evaluate(module: nn.Module, images: Images, data: SearchData, *, device: Device) -> float:
    """Share of the images that the module classifies correctly, 0 to 1."""
    return measure(module, images, data, device=device).share


def measure(module: nn.Module, images: Images, data: SearchData, *, device: Device) -> Answers:
    """How right the module's answers are for the images."""
    module.to(device.where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return _answers(module, Batches(images, data, device.where), len(data.classes))


def _answers(module: nn.Module, batches: Batches, classes: int) -> Answers:
    module.eval()
    seen = []
    # In fp32, like an exported network, for any precision of the training.
    with torch.inference_mode():
        for pixels, labels in batches.plain(max(1, _EVALUATION_PIXELS // batches.area)):
            seen.append(torch.stack([module(pixels).argmax(dim=1), labels]))
    answers, labels = torch.cat(seen, dim=1).cpu().numpy()
    return Answers.of(answers, labels, classes)


def one_cycle(progress: float, recipe: Recipe) -> float:
    """The learning rate after a share of all steps, as a share of its peak.

    It rises linearly, then falls as a cosine to 0.
    """
    if progress < recipe.warmup:
        return progress / recipe.warmup * 0.9 + 0.1
    rest = (progress - recipe.warmup) / (1 - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * rest))
