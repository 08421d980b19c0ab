"""Images are changed as by torchvision, within bounds, each in its own way, by the seed alone."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from trainers.data.augmentation import Augmentation, _crops, _crops_at_once, resized, scaled
from trainers.data.batches import Batches
from trainers.data.splits import DatasetError, Images, SearchData
from trainers.recipes import RECIPES, Recipe

CPU = torch.device("cpu")
PLAIN = dataclasses.replace(RECIPES.get("quick"), shift=0.0)
EVERYTHING: dict[str, Any] = {
    "crop": 0.3,
    "colour": 0.4,
    "trivial": True,
    "erasing": 0.5,
    "mixup": 0.2,
    "cutmix": 1.0,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def augmentation(size: int = 32, channels: int = 3, classes: int = 10, **on: Any) -> Augmentation:  # noqa: ANN401
    return Augmentation(dataclasses.replace(PLAIN, **on), (size, size), channels, classes)


def smooth(count: int = 16, side: int = 32, channels: int = 3) -> Tensor:
    """Images with as many greys as there are, without edges."""
    torch.manual_seed(1)
    coarse = torch.randint(80, 176, (count, channels, 4, 4)).float()
    planes = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    return planes.clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()


def batches(pixels: np.ndarray, recipe: Recipe, **more: Any) -> Batches:  # noqa: ANN401
    images = Images(pixels, np.arange(len(pixels)) % 10)
    channels = pixels.shape[-1]
    half = (0.5,) * channels
    data = SearchData("some", tuple("abcdefghij"), images, images, half, half, flip=True)
    return Batches(images, data, CPU, recipe.shift, recipe=recipe, **more)


def epoch(made: Batches, size: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    return list(made.shuffled(size, torch.Generator().manual_seed(seed)))


def test_crops_are_those_of_torchvision() -> None:
    pixels = torch.randint(0, 256, (4, 40, 32, 3), dtype=torch.uint8)
    boxes = np.array([[0, 0, 40, 32], [3, 5, 20, 9], [39, 31, 1, 1], [10, 0, 30, 32]])
    found = _crops(pixels, boxes, (24, 16))
    for image, box, crop in zip(pixels, boxes.tolist(), found, strict=True):
        whole = image.permute(2, 0, 1)
        expected = tv.resized_crop(whole, *box, size=[24, 16], antialias=True)
        assert torch.equal(crop.permute(2, 0, 1), expected)


def test_a_gpus_crops_are_the_same_where_parts_are_enlarged() -> None:
    pixels = smooth(3)
    boxes = np.array([[0, 0, 32, 32], [3, 5, 20, 9], [8, 0, 24, 30]])
    one, other = (crop(pixels, boxes, (32, 32)).float() for crop in (_crops, _crops_at_once))
    # At its border a part is continued by the pixels around it, and not by its own last ones.
    assert (one - other)[:, 2:-2, 2:-2].abs().max() <= 1
    assert (one - other).abs().max() < 10


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.35, 0.9]))
@settings(max_examples=20, deadline=None)
def test_crops_are_of_the_least_share_or_more_and_keep_about_their_shape(
    seed: int, least: float
) -> None:
    rows, columns = np.indices((64, 64))
    image = np.stack([rows, columns, columns], axis=-1).astype(np.uint8)
    pixels = torch.from_numpy(image).expand(32, -1, -1, -1)
    found = augmentation(64, crop=least).changed(pixels, np.random.default_rng(seed)).float()
    lasts, firsts = found.amax(dim=(1, 2))[:, :2], found.amin(dim=(1, 2))[:, :2]
    heights, widths = (lasts - firsts + 1).T
    # Ends are interpolated: up to a pixel a side.
    shares = heights * widths / 64**2
    assert (shares >= least * 0.9 - 0.02).all()
    assert ((heights / widths).log().abs() < np.log(4 / 3) + 0.25).all()
    assert len(set(map(tuple, firsts.tolist()))) > 3, "each image has its own"


def test_colours_change_as_torchvisions_do() -> None:
    pixels = smooth(1).expand(64, -1, -1, -1)

    class Fixed(np.random.Generator):
        def uniform(self, *_: Any) -> Any:  # noqa: ANN401
            return factors.numpy()

    factors = 0.9 + 0.2 * torch.rand(3, 64, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    found = augmentation(colour=0.1).changed(pixels, Fixed(np.random.PCG64(0)))
    for image, picture, (brightness, contrast, saturation) in zip(
        found, pixels, factors.view(3, -1).T.tolist(), strict=True
    ):
        expected = tv.adjust_brightness(picture.permute(2, 0, 1).float() / 255, brightness)
        expected = tv.adjust_contrast(expected, contrast)
        expected = 255 * tv.adjust_saturation(expected, saturation)
        assert (image.permute(2, 0, 1) - expected).abs().max() < 1


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_colours_stay_within_bounds_and_differ_between_images(channels: int) -> None:
    pixels = smooth(channels=channels)[:1].expand(64, -1, -1, -1)
    found = augmentation(channels=channels, colour=0.5).changed(pixels, np.random.default_rng(0))
    assert found.dtype == torch.uint8
    means = found.float().mean(dim=(1, 2, 3)) / pixels[0].float().mean()
    assert 0.45 < means.min() < 0.65
    assert 1.35 < means.max() < 1.55


def test_trivialaugment_changes_groups_and_no_global_generator() -> None:
    pixels = smooth(64)
    made = augmentation(trivial=True)
    state = torch.random.get_rng_state()
    one, again, other = (made.changed(pixels, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    changed = [
        not torch.equal(a, b) for a, b in zip(one.view(8, -1), pixels.view(8, -1), strict=True)
    ]
    assert sum(changed) >= 4


def test_trivialaugment_takes_grey_images_and_refuses_other_channels() -> None:
    grey = smooth(channels=1)
    found = augmentation(channels=1, trivial=True).changed(grey, np.random.default_rng(0))
    assert found.shape == grey.shape
    with pytest.raises(DatasetError, match="of 1 or 3 channels, and these have 5: choose another"):
        augmentation(channels=5, trivial=True)


def test_what_is_erased_is_a_rectangle_in_a_share_of_the_images() -> None:
    images, labels = torch.ones(400, 3, 32, 32), torch.zeros(400, dtype=torch.int64)
    found, same = augmentation(erasing=0.25).mixed(images, labels, np.random.default_rng(0))
    assert torch.equal(same, labels)
    erased = (found == 0).all(dim=1)
    assert torch.equal(erased, (found == 0).any(dim=1))
    boxes = erased[erased.any(dim=(1, 2))]
    assert 70 < len(boxes) < 130
    for box in boxes:
        rows, columns = box.any(dim=1), box.any(dim=0)
        assert torch.equal(box, rows[:, None] & columns[None])
        assert (rows.int().diff() != 0).sum() <= 2
        assert 0.01 < box.float().mean() < 0.36


@given(st.integers(0, 10_000), st.sampled_from([(0.2, 0.0), (0.0, 1.0), (0.4, 0.7)]))
@settings(max_examples=30, deadline=None)
def test_the_labels_of_a_mixed_image_are_its_parts(seed: int, alphas: Sequence[float]) -> None:
    labels = torch.arange(20) % 10
    images = labels.float()[:, None, None, None].expand(20, 3, 32, 32).clone()
    mixup, cutmix = alphas
    found, shares = augmentation(mixup=mixup, cutmix=cutmix).mixed(
        images, labels, np.random.default_rng(seed)
    )
    # An image is of one number, that of its class.
    expected = shares @ torch.arange(10.0)
    torch.testing.assert_close(found.mean(dim=(1, 2, 3)), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(20))
    assert ((shares > 0).sum(dim=1) <= 2).all()
    assert len(torch.unique(shares, dim=0)) > 10, "each image has its own share"
    if not mixup:
        assert (found == found.round()).all(), "what is pasted is not blended"


@pytest.mark.parametrize("resolution", [1.0, 0.75])
@pytest.mark.parametrize(
    "on", [{}, *({name: value} for name, value in EVERYTHING.items())], ids=str
)
def test_batches_are_of_one_layout_and_repeat_themselves_for_a_seed(
    on: dict[str, Any], resolution: float
) -> None:
    recipe = dataclasses.replace(PLAIN, **on)
    made = batches(smooth(48).numpy(), recipe, resolution=resolution)
    one, again, other = (epoch(made, 16, seed) for seed in (0, 0, 1))
    side = round(32 * resolution)
    for (x, y), (x_again, y_again), (x_other, _) in zip(one, again, other, strict=True):
        assert x.shape == (16, 3, side, side)
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(x, x_again)
        assert torch.equal(y, y_again)
        assert not torch.equal(x, x_other)
        assert x.isfinite().all()


def test_images_that_are_not_shifted_are_as_they_are_or_mirrored() -> None:
    pixels = torch.randint(0, 256, (64, 8, 6, 3), dtype=torch.uint8)
    ((x, labels),) = epoch(batches(pixels.numpy(), PLAIN), 64, 0)
    whole = {bytes(image.numpy()): False for image in pixels}
    whole |= {bytes(image.flip(1).contiguous().numpy()): True for image in pixels}
    found = (x.permute(0, 2, 3, 1) * 127.5 + 127.5).round().byte()
    mirrored = [whole[bytes(image.contiguous().numpy())] for image in found]
    assert 16 < sum(mirrored) < 48
    assert sorted(labels.tolist()) == sorted(np.arange(64) % 10)


def test_a_recipe_without_changes_draws_no_more_than_before() -> None:
    pixels, quick = smooth(48).numpy(), RECIPES.get("quick")
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    images = Images(pixels, np.arange(48) % 10)
    data = SearchData("some", ("a",) * 10, images, images, (0.5,) * 3, (0.5,) * 3, flip=True)
    before = Batches(images, data, CPU, quick.shift).shuffled(16, generators[0])
    now = Batches(images, data, CPU, quick.shift, recipe=quick).shuffled(16, generators[1])
    for (x, y), (x_now, y_now) in zip(before, now, strict=True):
        assert torch.equal(x, x_now)
        assert torch.equal(y, y_now)
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.2, 1, exclude_max=True))
def test_scaled_sides_are_close_to_the_share_and_can_be_halved(
    height: int, width: int, share: float
) -> None:
    assert scaled((height, width), 1.0) == (height, width)
    for side, found in zip((height, width), scaled((height, width), share), strict=True):
        assert found % 8 == 0
        assert found == 8 or abs(found - side * share) <= 4


def test_validation_images_are_resized_as_torchvision_does() -> None:
    pixels = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    expected = tv.resize(pixels.permute(0, 3, 1, 2), [24, 24], antialias=True)
    assert torch.equal(resized(pixels, (24, 24)).permute(0, 3, 1, 2), expected)
    plain = torch.cat([x for x, _ in batches(pixels.numpy(), PLAIN, resolution=0.75).plain(2)])
    torch.testing.assert_close(plain, expected / 127.5 - 1)
