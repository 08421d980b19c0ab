"""The loop learns, repeats itself for a seed, and notices when it diverges."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from trainers import devices
from trainers.checkpoints import CheckpointInMemory
from trainers.data.balance import Answers, class_weights
from trainers.data.batches import Batches, cross_entropy
from trainers.data.registry import load
from trainers.data.splits import Images, SearchData
from trainers.descent import MovingAverage
from trainers.recipes import BALANCES, RECIPES, RecipeError, UnknownRecipeError, recorded
from trainers.training import Trainer, TrainingDivergedError, evaluate, measure, one_cycle

CPU = devices.Device(torch.device("cpu"), None)
QUICK = RECIPES.get("quick")


@pytest.fixture(scope="module")
def digits() -> SearchData:
    return load("digits").search


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def small_network(classes: int = 10) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16 * 64, classes))


def test_a_small_network_learns_the_digits(digits: SearchData) -> None:
    outcome = Trainer(digits, QUICK, CPU).train(small_network(), seed=0)
    assert outcome.val_accuracy > 0.9
    assert outcome.train_loss < 0.5
    assert outcome.seconds > 0


def test_the_same_seed_gives_the_same_numbers_and_weights(digits: SearchData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=2)
    networks = [small_network() for _ in range(3)]
    trainer = Trainer(digits, recipe, CPU)
    outcomes = [
        trainer.train(network, seed=seed) for network, seed in zip(networks, (5, 5, 6), strict=True)
    ]
    losses = [outcome.train_loss for outcome in outcomes]
    assert losses[0] == losses[1] != losses[2]
    first, second, third = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_so_it_does_in_bf16_where_strides_leave_maps_of_one_pixel(digits: SearchData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=1)
    trainer = Trainer(digits, recipe, devices.Device(torch.device("cpu"), torch.bfloat16))
    trained = []
    for dirt in (3e33, -7e29):
        network = shrinking_network()
        # Memory that is free again keeps what was in it.
        for count in (2**10, 2**12, 2**14, 2**15):
            _freed = [torch.full((count,), dirt, dtype=torch.bfloat16) for _ in range(32)]
        trainer.train(network, seed=5)
        trained.append(network.state_dict())
    assert all(part.isfinite().all() for part in trained[0].values())
    assert all(torch.equal(part, trained[1][name]) for name, part in trained[0].items())


def shrinking_network() -> nn.Module:
    """Its last strides see one pixel, as those of most networks do for small images."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, 2, 1), *(nn.Conv2d(16, 16, 3, 2, 1) for _ in range(4))]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 10))


def test_it_leaves_the_global_random_state_alone(digits: SearchData) -> None:
    network = small_network()
    state = torch.random.get_rng_state()
    Trainer(digits, dataclasses.replace(QUICK, epochs=1), CPU).train(network, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_progress_is_told_every_epoch(digits: SearchData) -> None:
    told: list[tuple[int, float]] = []
    recipe = dataclasses.replace(QUICK, epochs=3)
    outcome = Trainer(digits, recipe, CPU).train(
        small_network(), seed=0, on_epoch=lambda epoch, loss: told.append((epoch, loss))
    )
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert told[-1][1] == outcome.train_loss


def test_a_loss_that_is_not_finite_is_an_error_that_says_when(digits: SearchData) -> None:
    recipe = dataclasses.replace(QUICK, peak_lr=1e30)
    with pytest.raises(TrainingDivergedError, match="the loss became nan in epoch 1"):
        Trainer(digits, recipe, CPU).train(small_network(), seed=0)


class Spoilt(nn.Module):
    """A layer of it gets a gradient that is no number, of which the logits tell nothing."""

    mask: Tensor

    def __init__(self, *, spoilt: bool) -> None:
        super().__init__()
        self.network, self.aside = small_network(), nn.Linear(3, 3)
        self.register_buffer("mask", torch.full((10,), -torch.inf))
        if spoilt:
            self.aside.weight.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        weight = self.aside.weight
        logits: Tensor = self.network(x)
        return logits + torch.zeros_like(weight).where(weight.new_ones(3, 3) > 0, weight).sum()


def test_weights_that_are_not_finite_are_an_error_that_names_the_layer(digits: SearchData) -> None:
    trainer = Trainer(digits, dataclasses.replace(QUICK, epochs=1), CPU)
    with pytest.raises(
        TrainingDivergedError,
        match=r"^aside\.weight became infinite or not a number by the end of epoch 1$",
    ):
        trainer.train(Spoilt(spoilt=True), seed=0)


def test_what_was_infinite_before_a_training_may_stay_so(digits: SearchData) -> None:
    trainer = Trainer(digits, dataclasses.replace(QUICK, epochs=1), CPU)
    assert math.isfinite(trainer.train(Spoilt(spoilt=False), seed=0).train_loss)


def test_accuracy_is_the_share_of_images_classified_right(digits: SearchData) -> None:
    class Always(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.eye(10)[3].expand(len(x), 10)

    share = float((digits.val.labels == 3).mean())
    assert evaluate(Always(), digits.val, digits, device=CPU) == share
    assert measure(Always(), digits.val, digits, device=CPU).balanced == pytest.approx(0.1)
    # Outcomes are measured in the same way.
    outcome = Trainer(digits, dataclasses.replace(QUICK, epochs=1), CPU).train(
        small_network(), seed=0
    )
    assert abs(outcome.answers.balanced - outcome.val_accuracy) < 0.05


def test_plain_batches_are_the_images_normalised_and_in_order(digits: SearchData) -> None:
    for shift in (0.0, 0.25):
        batches = Batches(digits.val, digits, CPU.where, shift)
        images = torch.cat([x for x, _ in batches.plain(100)])
        labels = torch.cat([y for _, y in batches.plain(100)])
        pixels = torch.from_numpy(digits.val.pixels).permute(0, 3, 1, 2) / 255
        expected = (pixels - digits.mean[0]) / digits.std[0]
        assert torch.allclose(images, expected, atol=1e-5)
        assert labels.tolist() == digits.val.labels.tolist()


def ramp(count: int, side: int, *, flip: bool) -> tuple[Images, SearchData]:
    """Images whose pixels tell their number, row and column."""
    n, row, column = np.indices((count, side, side))
    pixels = np.stack([n, row + 1, column + 1], axis=-1).astype(np.uint8)
    images = Images(pixels, np.arange(count))
    zeros, ones = (0.0,) * 3, (1 / 255,) * 3
    return images, SearchData("ramp", ("a",) * count, images, images, zeros, ones, flip)


@pytest.mark.parametrize("flip", [True, False])
def test_augmentation_shifts_within_bounds_and_flips_only_where_it_may(flip: bool) -> None:
    images, data = ramp(200, 8, flip=flip)
    batches = Batches(images, data, CPU.where, 0.25)
    mirrored = 0
    for x, labels in batches.shuffled(50, torch.Generator().manual_seed(0)):
        for image, label in zip(x, labels, strict=True):
            number, rows, columns = image
            inside = rows > 0
            assert (number[inside] == label).all()
            assert inside.sum() >= 36, "at most a quarter of the side is shifted out"
            row = int(inside.any(dim=1).nonzero()[0])
            steps = columns[row][columns[row] > 0].diff()
            assert (steps.abs() == 1).all()
            mirrored += bool(steps[0] < 0)
    assert 60 < mirrored < 140 if flip else mirrored == 0


def test_an_epoch_takes_every_image_once_in_another_order_each_time() -> None:
    images, data = ramp(96, 4, flip=False)
    batches = Batches(images, data, CPU.where)
    generator = torch.Generator().manual_seed(0)
    epochs = [[y for _, ys in batches.shuffled(32, generator) for y in ys.tolist()] for _ in "ab"]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(96))
    assert epochs[0] != epochs[1]


def test_networks_are_measured_and_kept_with_the_average_of_their_weights(
    digits: SearchData,
) -> None:
    recipe = dataclasses.replace(QUICK, epochs=2)
    plain, averaged = small_network(), small_network()
    Trainer(digits, recipe, CPU).train(plain, seed=0)
    recipe = dataclasses.replace(recipe, ema=0.95)
    outcome = Trainer(digits, recipe, CPU).train(averaged, seed=0)
    assert evaluate(averaged, digits.val, digits, device=CPU) == outcome.val_accuracy
    weights = [net.state_dict()["4.weight"] for net in (plain, averaged)]
    start = small_network().state_dict()["4.weight"]
    assert not torch.equal(*weights)
    assert (weights[0] - weights[1]).norm() < 0.5 * (weights[0] - start).norm()


def test_an_average_is_of_all_steps_and_forgets_the_first_ones() -> None:
    module = nn.BatchNorm1d(1).requires_grad_(False)
    average = MovingAverage(module, 0.9)
    for step in range(300):
        nn.init.constant_(module.weight, float(step))
        module.num_batches_tracked.fill_(step)  # type: ignore[union-attr]
        average.update(step)
    # The mean age of an exponential average of decay d is d / (1 - d).
    assert float(average.values["weight"]) == pytest.approx(299 - 9, abs=0.01)
    assert int(average.values["num_batches_tracked"]) == 299
    assert float(module.weight) == 299


@pytest.mark.parametrize(("share", "side"), [(1.0, 32), (0.75, 24), (0.5, 16)])
def test_a_lower_resolution_is_that_of_training_or_of_validation(share: float, side: int) -> None:
    class Seen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sides = dict[bool, set[int]]()
            self.last = nn.Linear(3, 40)

        def forward(self, x: Tensor) -> Tensor:
            self.sides.setdefault(self.training, set()).add(x.shape[-1])
            logits: Tensor = self.last(x.mean(dim=(2, 3)))
            return logits

    _, data = ramp(40, 32, flip=True)
    short = dataclasses.replace(QUICK, epochs=1)
    for recipe, sides in (
        (dataclasses.replace(short, resolution=share), {True: {side}, False: {32}}),
        (dataclasses.replace(short, val_resolution=share), {True: {32}, False: {side}}),
    ):
        module = Seen()
        Trainer(data, recipe, CPU).train(module, seed=0)
        assert module.sides == sides


def test_what_is_made_large_may_be_the_mean_over_the_classes(digits: SearchData) -> None:
    recipe = dataclasses.replace(RECIPES.get("quick"), epochs=1)
    found = {}
    for metric in ("accuracy", "balanced-accuracy", "macro-f1"):
        torch.manual_seed(0)
        trainer = Trainer(digits, dataclasses.replace(recipe, metric=metric), CPU)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        found[metric] = trainer.train(network, seed=0)
    plain = found["accuracy"]
    assert found["balanced-accuracy"].val_accuracy == plain.answers.balanced
    assert found["macro-f1"].val_accuracy == plain.answers.macro_f1
    assert len({outcome.val_accuracy for outcome in found.values()}) == 3


@pytest.fixture(scope="module")
def unequal(digits: SearchData) -> SearchData:
    """Of all digits but 1 and 7 few images are left for training."""
    labels = digits.train.labels
    few = [np.flatnonzero(labels == label)[:6] for label in range(10) if label not in (1, 7)]
    kept = np.concatenate([np.flatnonzero(np.isin(labels, (1, 7))), *few])
    return dataclasses.replace(digits, train=Images(digits.train.pixels[kept], labels[kept]))


def balanced(unequal: SearchData, balance: str, epochs: int = 3) -> tuple[nn.Module, Answers]:
    recipe = dataclasses.replace(QUICK, balance=balance, epochs=epochs)
    network = small_network()
    return network, Trainer(unequal, recipe, CPU).train(network, seed=0).answers


def test_weights_and_sampling_find_what_is_rare(unequal: SearchData) -> None:
    found = {balance: balanced(unequal, balance, 2)[1].balanced for balance in BALANCES}
    assert found["weights"] > found["none"] + 0.05
    assert found["sampling"] > found["none"] + 0.2


def test_sampling_draws_all_classes_as_often_and_repeats_itself(unequal: SearchData) -> None:
    batches = Batches(unequal.train, unequal, CPU.where)
    chances = torch.from_numpy(class_weights(unequal.train.labels, 10)[unequal.train.labels])
    drawn = [
        torch.cat([y for _, y in batches.shuffled(1, torch.Generator().manual_seed(0), chances)])
        for _ in range(2)
    ]
    assert torch.equal(*drawn)
    assert len(drawn[0]) == len(batches)
    assert (torch.bincount(drawn[0], minlength=10) > len(batches) / 20).all()


def test_a_class_of_twice_the_weight_counts_as_if_its_images_were_there_twice() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 1, 2])
    twice = torch.tensor([0, 1, 1, 1, 1, 2])
    found = cross_entropy(logits, labels, 0.0, torch.tensor([1.0, 2.0, 1.0]))
    assert found.item() == pytest.approx(
        cross_entropy(logits[[0, 1, 1, 2, 2, 3]], twice, 0.0).item()
    )


@pytest.mark.parametrize("balance", BALANCES)
def test_a_training_of_unequal_classes_continues_to_the_same_weights(
    unequal: SearchData, balance: str
) -> None:
    whole, _ = balanced(unequal, balance, epochs=2)
    recipe = dataclasses.replace(QUICK, balance=balance, epochs=2)
    bag = CheckpointInMemory("t", 1)
    Trainer(unequal, recipe, CPU).train(small_network(), seed=0, checkpoint=bag, until=1)
    rest = small_network()
    continued = CheckpointInMemory("t", 2, bag.data)
    Trainer(unequal, recipe, CPU).train(rest, seed=0, checkpoint=continued)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True)
    )


def test_what_a_recipe_says_of_unequal_classes_is_recorded_only_if_it_says_something() -> None:
    assert "balance" not in QUICK.to_json()
    weighted = dataclasses.replace(QUICK, balance="weights")
    assert recorded(weighted.to_json()) == weighted
    assert RECIPES.get("full").judging_as(weighted.to_json()).balance == "weights"
    assert RECIPES.get("full").judging_as(QUICK.to_json()) == RECIPES.get("full")


@given(st.integers(1, 200_000))
def test_a_batch_is_never_larger_than_the_data_or_the_recipe(count: int) -> None:
    size = QUICK.batch(count)
    assert 1 <= size <= min(count, QUICK.batch_size)
    assert count < 256 or count // size >= 16


def test_the_learning_rate_climbs_to_its_peak_and_falls_to_nothing() -> None:
    rates = [one_cycle(step / 1000, QUICK) for step in range(1001)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(1)
    assert peak == pytest.approx(1000 * QUICK.warmup, abs=1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert math.isclose(rates[-1], 0, abs_tol=1e-9)


def test_smaller_steps_have_a_learning_rate_that_is_smaller_in_proportion() -> None:
    assert QUICK.peak(QUICK.batch_size) == QUICK.peak_lr
    assert QUICK.peak(QUICK.batch_size // 2) == pytest.approx(QUICK.peak_lr / 2)
    assert RECIPES.get("quick@1").peak(64) == RECIPES.get("quick@1").peak_lr


EARLIER = {
    "name": "quick",
    "epochs": 9,
    "batch_size": 128,
    "peak_lr": 0.1,
    "warmup": 0.25,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "label_smoothing": 0.0,
    "shift": 1 / 8,
}


def test_a_recipe_of_an_earlier_study_is_found_under_the_name_it_has_now() -> None:
    found = recorded(EARLIER)
    assert found is not None
    assert (found.name, found.epochs) == ("quick@1", 9)
    assert found.to_json() == EARLIER | {"name": "quick@1"}
    assert recorded(EARLIER | {"peak_lr": 7.0}) is None
    for recipe in RECIPES.all().values():
        assert recorded(recipe.to_json()) == recipe


def test_what_a_recipe_does_not_do_is_left_out_of_its_record() -> None:
    recipe = RECIPES.get("quick@1")
    assert recipe.to_json() == EARLIER | {"name": "quick@1", "epochs": 6}
    photo = dataclasses.replace(recipe, crop=0.5, decays_norms=False, resolution=0.75)
    more = {"crop": 0.5, "decays_norms": False, "resolution": 0.75}
    assert photo.to_json() == recipe.to_json() | more


def test_a_recipe_whose_values_mean_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"^recipe quick: crop must be from 0 to 1, not 1\.5$"):
        dataclasses.replace(QUICK, crop=1.5)
    with pytest.raises(RecipeError, match="mixup and cutmix must not be below 0"):
        dataclasses.replace(QUICK, cutmix=-1.0)


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownRecipeError, match="'slow'; known recipes: quick, full, "):
        RECIPES.get("slow")
