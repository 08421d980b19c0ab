"""Random changes of training images, beside shifts and mirror images: whole batches at a time.

Every image of a batch has its own draw, except in TrivialAugment, which a few images share. On a
CPU images stay uint8 as long as they can: torch resizes these five times as fast as floats.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.data.splits import DatasetError
from trainers.recipes import Recipe

HeightWidth = tuple[int, int]
_LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in grey (ITU-R BT.601)."""
_CROP_RATIOS = (3 / 4, 4 / 3)
_ERASED_SHARES, _ERASED_RATIOS = (0.02, 0.33), (0.3, 3.3)
"""Bounds of torchvision's `RandomResizedCrop` and `RandomErasing`."""
_IMAGES_A_DRAW = 8
"""Of TrivialAugment: in groups of 8 it takes a quarter of the time (docs/log.md)."""
_SIDE_STEP_PIXELS = 8
"""Sides of scaled images are a multiple: networks halve them several times."""


def scaled(size: HeightWidth, share: float) -> HeightWidth:
    """A size whose sides are about that share of another's; 1 is the same size."""
    if share == 1:
        return size
    height, width = (
        max(1, round(side * share / _SIDE_STEP_PIXELS)) * _SIDE_STEP_PIXELS for side in size
    )
    return height, width


def resized(pixels: Tensor, size: HeightWidth) -> Tensor:
    """Images (N, H, W, C), uint8, in another size: bilinear, with antialias."""
    if tuple(pixels.shape[1:3]) == size:
        return pixels
    planes = pixels.permute(0, 3, 1, 2)
    if not planes.is_cpu:  # it resizes floats only
        planes = planes.float()
    found = F.interpolate(planes, size, mode="bilinear", antialias=True)
    return (found if found.dtype == torch.uint8 else found.round_().byte()).permute(0, 2, 3, 1)


class Augmentation:
    """What a recipe changes at random in a batch.

    Args:
        recipe: says what, and how much.
        size: height and width of the images that come out.
        channels: of an image.
        classes: how many there are.

    Raises:
        DatasetError: the recipe is for images of other channels.
    """

    def __init__(self, recipe: Recipe, size: HeightWidth, channels: int, classes: int) -> None:
        if recipe.trivial and channels not in {1, len(_LUMA)}:
            raise DatasetError(
                f"TrivialAugment, which --recipe {recipe.name} has, is for images of 1 or 3 "
                f"channels, and these have {channels}: choose another --recipe"
            )
        self._recipe = recipe
        self._size = size
        self._classes = classes
        self._luma = _LUMA if channels == len(_LUMA) else (1 / channels,) * channels

    def changed(self, pixels: Tensor, chance: np.random.Generator) -> Tensor:
        """Images cropped, changed by TrivialAugment and in other colours.

        Args:
            pixels: uint8, (N, H, W, C).
            chance: of all draws.

        Returns:
            uint8, (N, h, w, C), of the size that comes out.
        """
        if self._recipe.crop:
            pixels = self._cropped(pixels, chance)
        pixels = resized(pixels, self._size)
        if self._recipe.trivial:
            pixels = _trivially(pixels, chance)
        if self._recipe.colour:
            pixels = self._coloured(pixels, chance)
        return pixels

    def mixed(
        self, images: Tensor, labels: Tensor, chance: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Images with a rectangle erased, or mixed with one another.

        Args:
            images: normalised, (N, C, h, w).
            labels: (N,).
            chance: of all draws.

        Returns:
            The images, in the same layout, and their labels: (N,), or shares of the classes
            (N, classes) if images are mixed.
        """
        recipe, count = self._recipe, len(images)
        if recipe.erasing:
            shares = chance.uniform(*_ERASED_SHARES, count)
            shares *= chance.random(count) < recipe.erasing
            ratios = _log_uniform(chance, _ERASED_RATIOS, count)
            # 0 is the mean of all training images. In place: the layout stays.
            images.masked_fill_(self._rectangles(shares, ratios, chance, images), 0)
        ways = [way for way in (recipe.mixup, recipe.cutmix) if way]
        if not ways:
            return images, labels
        cuts = recipe.cutmix and (not recipe.mixup or chance.random() < 0.5)  # noqa: PLR2004 - a coin
        alpha = recipe.cutmix if cuts else recipe.mixup
        share = chance.beta(alpha, alpha, count)
        # The order of images is random: any other one will do as a partner.
        partners = torch.arange(-1, count - 1, device=images.device)
        others = images.permute(0, 2, 3, 1)[partners].permute(0, 3, 1, 2)
        targets = F.one_hot(labels, self._classes).float()
        if cuts:
            box = self._rectangles(1 - share, np.ones(count), chance, images)
            images = torch.where(box, others, images)
            own = 1 - box.float().mean(dim=(1, 2, 3))
        else:
            own = torch.from_numpy(share).float().to(images.device)
            images = torch.lerp(others, images, own[:, None, None, None])
        return images, torch.lerp(targets[partners], targets, own[:, None])

    def _cropped(self, pixels: Tensor, chance: np.random.Generator) -> Tensor:
        """A random part of each image, as torchvision's `RandomResizedCrop` draws it."""
        size = tuple(map(int, pixels.shape[1:3]))
        count, (height, width) = len(pixels), size
        area = chance.uniform(self._recipe.crop, 1, count) * height * width
        ratio = _log_uniform(chance, _CROP_RATIOS, count)
        heights = np.minimum(np.sqrt(area / ratio).round(), height)
        widths = np.minimum(np.sqrt(area * ratio).round(), width)
        tops = (chance.random(count) * (height - heights + 1)).astype(int)
        lefts = (chance.random(count) * (width - widths + 1)).astype(int)
        boxes = np.stack([tops, lefts, heights, widths], axis=1).astype(int).clip(0)
        boxes[:, 2:] = boxes[:, 2:].clip(1)
        if pixels.is_cpu:
            return _crops(pixels, boxes, self._size)
        return _crops_at_once(pixels, boxes, self._size)

    def _coloured(self, pixels: Tensor, chance: np.random.Generator) -> Tensor:
        """Brightness, contrast and saturation times a factor of each image."""
        most = self._recipe.colour
        factors = torch.from_numpy(chance.uniform(1 - most, 1 + most, (3, len(pixels), 1, 1, 1)))
        brightness, contrast, saturation = factors.float().to(pixels.device)
        x = pixels.float()
        grey = x @ torch.tensor(self._luma, device=pixels.device)[:, None]
        middle = grey.mean(dim=(1, 2, 3), keepdim=True) * (brightness * (1 - contrast))
        scale = brightness * contrast
        grey = grey.mul_(scale * (1 - saturation)).add_(middle)
        return x.mul_(scale * saturation).add_(grey).round_().clamp_(0, 255).byte()

    def _rectangles(
        self,
        shares: NDArray[np.float64],
        ratios: NDArray[np.float64],
        chance: np.random.Generator,
        images: Tensor,
    ) -> Tensor:
        """A rectangle inside of each image as a mask (N, 1, h, w).

        Args:
            shares: of the image's area, (N,).
            ratios: of the rectangle's sides, each as a share of the image's, (N,).
            chance: of the places.
            images: give the number and the device of the masks.
        """
        sides = []
        for pixels, share in zip(self._size, (ratios * shares, shares / ratios), strict=True):
            length = np.minimum(np.sqrt(share) * pixels, pixels).round()[:, None]
            start = (chance.random(len(shares))[:, None] * (pixels - length + 1)).astype(int)
            places = np.arange(pixels)
            sides.append(torch.from_numpy((places >= start) & (places < start + length)))
        rows, columns = (side.to(images.device) for side in sides)
        return rows[:, None, :, None] & columns[:, None, None, :]


def _log_uniform(
    chance: np.random.Generator, bounds: tuple[float, float], count: int
) -> NDArray[np.float64]:
    low, high = bounds
    return np.exp(chance.uniform(math.log(low), math.log(high), count))


def _crops(pixels: Tensor, boxes: NDArray[np.int_], size: HeightWidth) -> Tensor:
    """Parts of images, each resized for itself.

    On a CPU that is five times as fast as `_crops_at_once` at 96×96, and ten times at 224×224.

    Args:
        pixels: uint8, (N, H, W, C).
        boxes: top, left, height and width of each part, (N, 4).
        size: of what comes out.
    """
    found = pixels.new_empty((len(pixels), *size, pixels.shape[-1]))
    for at, (top, left, height, width) in enumerate(boxes.tolist()):
        part = pixels[at : at + 1, top : top + height, left : left + width]
        found[at : at + 1] = resized(part, size)
    return found


def _crops_at_once(pixels: Tensor, boxes: NDArray[np.int_], size: HeightWidth) -> Tensor:
    """What `_crops` gives, without antialias, in one kernel: a GPU waits for no other."""
    where = torch.from_numpy(boxes).float().to(pixels.device)
    whole = where.new_tensor(pixels.shape[1:3])
    scale = where[:, 2:] / whole
    # From -1 to 1, the middle of a part is this, and x comes before y.
    middle = (2 * where[:, :2] + where[:, 2:]) / whole - 1
    grids = torch.zeros(len(pixels), 2, 3, device=pixels.device)
    grids[:, 0, 0], grids[:, 1, 1] = scale[:, 1], scale[:, 0]
    grids[:, :, 2] = middle.flip(1)
    planes = pixels.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(grids, [len(planes), planes.shape[1], *size], align_corners=False)
    found = F.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return found.round_().byte().permute(0, 2, 3, 1)


def _trivially(pixels: Tensor, chance: np.random.Generator) -> Tensor:
    """TrivialAugment of torchvision (Müller and Hutter, arXiv 2103.10158), a draw a few images."""
    from torchvision.transforms import v2  # noqa: PLC0415 - seconds

    augment = v2.TrivialAugmentWide()
    groups = torch.split(pixels.permute(0, 3, 1, 2), _IMAGES_A_DRAW)
    # It draws from torch's global generator, and from that of the CPU alone.
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(int(chance.integers(2**63)))
        changed = torch.cat([augment(group) for group in groups])
    return changed.permute(0, 2, 3, 1).contiguous()
