"""A split on the device, augmented there in batches."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.data.augmentation import Augmentation, resized, scaled
from trainers.data.mapped import AHEAD
from trainers.data.splits import Images, SearchData
from trainers.machine import free_memory
from trainers.recipes import Recipe

_SHARE_OF_MEMORY = 1 / 2
"""Of what is free, which a file may take to be looked at like an array."""
_WINDOW_NUMBERS = 2**20
"""Rows and columns that are computed at a time: those of 200,000 photographs would take .7 GB."""
_SHARE_OF_GPU = 1 / 8
"""Of its memory, which the images of one process may take: four trials share a GPU."""


class Batches:
    """The images of a split, as uint8 on the device; on a CPU they are not copied.

    Images that would take much of a GPU's memory stay where they are, and batches are sent. Those
    in a file that is large beside free memory are read ahead.

    Shift and flip are one gather from a padded batch: no per-image work, no worker processes.
    Images come out as (N, C, H, W) in channels_last layout, normalised.

    Args:
        images: the split.
        data: gives mean, std and flip.
        device: where the images are kept and batches are made.
        shift: random shifts up to this share of the side; 0 leaves the images as they are.
        resolution: of the images that come out, as a share of their side.
        recipe: what else changes them at random; None changes no more.

    Raises:
        DatasetError: the recipe is not for such images.
    """

    def __init__(
        self,
        images: Images,
        data: SearchData,
        device: torch.device,
        shift: float = 0.0,
        *,
        resolution: float = 1.0,
        recipe: Recipe | None = None,
    ) -> None:
        self._height, self._width = map(int, images.pixels.shape[1:3])
        self._pad = round(max(self._height, self._width) * shift)
        with warnings.catch_warnings():
            # Processes share the images, and none may write: nor does this one.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            pixels = torch.from_numpy(images.pixels)
        self._pixels = pixels.to(device) if _fits(images.pixels.nbytes, device) else pixels
        free = free_memory()
        is_large = free is not None and images.pixels.nbytes > free * _SHARE_OF_MEMORY
        self._file = images.file if is_large and self._pixels is pixels else None
        self._labels = torch.from_numpy(images.labels.copy()).to(device)
        self._flip = data.flip
        self._size = scaled((self._height, self._width), resolution)
        self._augmentation = None
        if recipe is not None and recipe.augments:
            self._augmentation = Augmentation(recipe, self._size, data.shape[0], len(data.classes))
        self._device = device
        # (x / 255 - mean) / std as one multiplication and one addition
        std = torch.tensor(data.std, device=device)
        self._scale = 1 / (255 * std)
        self._offset = -torch.tensor(data.mean, device=device) / std

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def area(self) -> int:
        """Pixels of an image."""
        return self._height * self._width

    def plain(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, unchanged, in batches of at most that size."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            pixels = resized(self._pixels[part].to(self._device), self._size)
            yield self._normalise(pixels), self._labels[part]

    def shuffled(
        self, size: int, generator: torch.Generator, chances: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of augmented batches in random order; a last, smaller batch is left out.

        Labels are shares of the classes (N, classes) where the recipe mixes images.

        Args:
            size: images of a batch.
            generator: of all chance.
            chances: of each image to be drawn, again and again; None takes each of them once.
        """
        count = len(self)
        if chances is None:
            order = torch.randperm(count, generator=generator)
        else:
            order = torch.multinomial(chances, count, replacement=True, generator=generator)
        corners, mirrored = self._drawn(count, generator)
        labels = self._labels[order.to(self._device)]
        chance = None
        if self._augmentation is not None:
            chance = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        parts = [slice(start, start + size) for start in range(0, count - size + 1, size)]
        windows = self._windows(corners, mirrored, size)
        for part, picked in self._picked(parts, order):
            pixels = self._shifted(picked.to(self._device), *next(windows))
            if self._augmentation is None or chance is None:
                yield self._normalise(resized(pixels, self._size)), labels[part]
                continue
            images = self._normalise(self._augmentation.changed(pixels, chance))
            yield self._augmentation.mixed(images, labels[part], chance)

    def _shifted(self, pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """A batch with these rows and columns of each padded image."""
        if not self._pad:  # in a quarter of that time
            mirrored = columns[:, :1, None, None] > 0
            return torch.where(mirrored, pixels.flip(2), pixels)
        places = torch.arange(len(pixels), device=self._device)[:, None, None]
        padded = F.pad(pixels, (0, 0, *(4 * (self._pad,))))
        return padded[places, rows[:, :, None], columns[:, None]]

    def _picked(self, parts: Sequence[slice], order: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The pixels at each part of the order; of a large file, while later ones are read."""
        if self._file is None:
            order = order.to(self._pixels.device)
            yield from ((part, self._pixels[order[part]]) for part in parts)
            return
        with self._file.reader() as read:
            coming = deque(read(order[part].numpy()) for part in parts[:AHEAD])
            for part, later in zip_longest(parts, parts[AHEAD:]):
                pixels = coming.popleft().result()
                if later is not None:
                    coming.append(read(order[later].numpy()))
                yield part, torch.from_numpy(pixels)

    def _drawn(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Top and left of each image's window (2, N, 1), and whether it is mirrored (N, 1)."""
        corners = torch.randint(2 * self._pad + 1, (2, count, 1), generator=generator)
        mirrored = torch.zeros(count, 1, dtype=torch.bool)
        if self._flip:
            mirrored = torch.rand(count, 1, generator=generator) < 0.5  # noqa: PLR2004 - a coin
        return corners.to(self._device), mirrored.to(self._device)

    def _windows(
        self, corners: Tensor, mirrored: Tensor, size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The rows (N, H) and columns (N, W) to take from the padded images of each batch."""
        step = max(1, _WINDOW_NUMBERS // (size * (self._height + self._width))) * size
        for start in range(0, corners.shape[1], step):
            top, left = corners[:, start : start + step]
            rows = top + torch.arange(self._height, device=self._device)
            columns = left + torch.arange(self._width, device=self._device)
            columns = torch.where(mirrored[start : start + step], columns.flip(1), columns)
            yield from zip(torch.split(rows, size), torch.split(columns, size), strict=True)

    def _normalise(self, pixels: Tensor) -> Tensor:
        images = torch.addcmul(self._offset, pixels, self._scale)
        return images.permute(0, 3, 1, 2)


def _fits(size_bytes: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    return size_bytes <= torch.cuda.get_device_properties(device).total_memory * _SHARE_OF_GPU


def cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Mean cross entropy in fp32, for logits of any precision.

    Args:
        logits: (N, classes).
        labels: (N,), or shares of the classes (N, classes).
        smoothing: share of the target that goes to all classes equally.
        weights: of the classes (classes,); None counts all images alike.
    """
    return F.cross_entropy(logits.float(), labels, weights, label_smoothing=smoothing)
