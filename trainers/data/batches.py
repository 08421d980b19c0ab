"""A split on the device, augmented there in batches."""

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.data.splits import Images, SearchData


class Batches:
    """The images of a split, as uint8 on the device; on a CPU they are not copied.

    Shift and flip are one gather from a padded batch: no per-image work, no worker processes.
    Images come out as (N, C, H, W) in channels_last layout, normalised.

    Args:
        images: the split.
        data: gives mean, std and flip.
        device: where the images are kept and batches are made.
        shift: random shifts up to this share of the side; 0 leaves the images as they are.
    """

    def __init__(
        self, images: Images, data: SearchData, device: torch.device, shift: float = 0.0
    ) -> None:
        self._height, self._width = map(int, images.pixels.shape[1:3])
        self._pad = round(max(self._height, self._width) * shift)
        with warnings.catch_warnings():
            # Processes share the images, and none may write: nor does this one.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._pixels = torch.from_numpy(images.pixels).to(device)
        self._labels = torch.from_numpy(images.labels.copy()).to(device)
        self._flip = data.flip
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
            yield self._normalise(self._pixels[part]), self._labels[part]

    def shuffled(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of augmented batches in random order; a last, smaller batch is left out."""
        count = len(self)
        order = torch.randperm(count, generator=generator)
        rows, columns = self._windows(count, generator)
        order, rows, columns = (t.to(self._device) for t in (order, rows, columns))
        places = torch.arange(size, device=self._device)[:, None, None]
        for start in range(0, count - size + 1, size):
            part = slice(start, start + size)
            picked = order[part]
            padded = F.pad(self._pixels[picked], (0, 0, *(4 * (self._pad,))))
            pixels = padded[places, rows[part, :, None], columns[part, None]]
            yield self._normalise(pixels), self._labels[picked]

    def _windows(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The rows and columns to take from each padded image."""
        top, left = torch.randint(2 * self._pad + 1, (2, count, 1), generator=generator)
        rows = top + torch.arange(self._height)
        columns = left + torch.arange(self._width)
        if self._flip:
            mirrored = torch.rand(count, 1, generator=generator) < 0.5  # noqa: PLR2004 - a coin
            columns = torch.where(mirrored, columns.flip(1), columns)
        return rows, columns

    def _normalise(self, pixels: Tensor) -> Tensor:
        images = torch.addcmul(self._offset, pixels, self._scale)
        return images.permute(0, 3, 1, 2)


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean cross entropy in fp32, for logits of any precision."""
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
