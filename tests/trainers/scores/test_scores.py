"""Zero-cost scores: known cases, and laws that hold for every score and every convolution type."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from nas_space.convs import TYPES
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from trainers.scores import Score, score, scores
from trainers.scores.base import ScoreError

every_score = pytest.mark.parametrize("which", scores().values(), ids=scores())


def batch(count: int = 16, side: int = 8, channels: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, channels, side, side, generator=generator)
    return images, torch.arange(count) % 10


def network(kind: str = "mixed", seed: int = 0) -> nn.Module:
    architecture = next(a for a in get(kind).uniform() if a.stages[0].width == 16)
    return build(architecture, 1, 10, seed=seed)


def value(which: str, module: nn.Module, images: Tensor, labels: Tensor) -> float:
    return score(scores()[which], module, images, labels, seed=0)


class Broken:
    """A score that gives whatever it is told."""

    name = "broken"

    def __init__(self, given: object) -> None:
        self._given = given

    def of(self, module: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG002
        if isinstance(self._given, Exception):
            raise self._given
        return self._given  # type: ignore[return-value]


@pytest.mark.parametrize("given", [KeyError("oops"), "high", None])
def test_one_that_fails_is_named_in_one_line(given: object) -> None:
    images, labels = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.long)
    with pytest.raises(ScoreError, match=r"^the score broken fails \(\w+: .*\)$"):
        score(Broken(given), nn.Flatten(), images, labels, seed=0)


@every_score
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_network_has_a_finite_score_that_repeats(which: Score, kind: str) -> None:
    images, labels = batch()
    found = [score(which, network(kind), images, labels, seed=3) for _ in range(2)]
    assert found[0] == found[1]
    assert math.isfinite(found[0])


@every_score
def test_the_network_and_the_random_state_stay_as_they_were(which: Score) -> None:
    images, labels = batch()
    module = network().eval()
    before, state = copy.deepcopy(module.state_dict()), torch.random.get_rng_state()
    score(which, module, images, labels, seed=0)
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not module.training
    assert torch.equal(state, torch.random.get_rng_state())


@every_score
def test_a_network_that_gives_no_numbers_is_the_worst(which: Score) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.classifier(torch.relu(x).flatten(1)) * math.nan
            return logits

    # naswot looks at the ReLUs only, which are well.
    found = score(which, Broken(), *batch(), seed=0)
    assert (found in {-math.inf, 0.0}) == (which.name != "naswot")


def chain(*weights: float) -> nn.Module:
    layers = [nn.Linear(1, 1, bias=False) for _ in weights]
    for layer, weight in zip(layers, weights, strict=True):
        nn.init.constant_(layer.weight, weight)
    return nn.Sequential(nn.Flatten(), *layers)


def test_the_flow_of_a_chain_is_the_product_of_its_weights_for_each_of_them() -> None:
    images = torch.zeros(2, 1, 1, 1)
    found = value("synflow", chain(2.0, -3.0, 0.5), images, torch.tensor([0, 0]))
    assert found == pytest.approx(math.log(3 * 3.0))


def test_snip_and_grad_norm_are_the_gradients_of_a_linear_layer() -> None:
    linear = nn.Linear(4, 3, bias=False)
    module = nn.Sequential(nn.Flatten(), linear)
    images, labels = torch.randn(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    weight = linear.weight.detach()
    x = images.flatten(1)
    wrong = torch.softmax(x @ weight.T, dim=1) - nn.functional.one_hot(labels, 3)
    gradient = wrong.T @ x / 5
    assert value("snip", module, images, labels) == pytest.approx(
        float((weight * gradient).abs().sum()), rel=1e-5
    )
    assert value("grad-norm", module, images, labels) == pytest.approx(
        float(gradient.norm()), rel=1e-5
    )


def test_naswot_is_the_log_determinant_of_the_similarities_of_codes() -> None:
    module = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(3, 2))
    images = torch.tensor([[1.0, -1, 1], [1, 1, -1], [-1, -1, -1]]).reshape(3, 1, 1, 3)
    # Units that agree, of three: (1, 2) one, (1, 3) one, (2, 3) one.
    kernel = torch.tensor([[3.0, 1, 1], [1, 3, 1], [1, 1, 3]])
    found = value("naswot", module, images, torch.zeros(3, dtype=torch.int64))
    assert found == pytest.approx(float(kernel.logdet()))


def test_naswot_says_the_worst_of_images_that_are_coded_alike() -> None:
    module = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(4, 2))
    assert value("naswot", module, torch.ones(4, 1, 2, 2), torch.zeros(4)) == -math.inf


def test_zen_grows_by_the_logarithm_of_what_normalisation_takes_away() -> None:
    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor, self.norm = factor, nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.norm(self.factor * x).flatten(1)
            return logits

    images, labels = batch()
    small, large = (value("zen", Scaled(f), images, labels) for f in (1.0, 10.0))
    assert large - small == pytest.approx(math.log(10), abs=1e-3)


def test_zico_is_lower_where_gradients_change_from_batch_to_batch() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    half, labels = torch.randn(8, 1, 4, 4), torch.arange(8) % 4
    steady = torch.cat([half, half + 0.01 * torch.randn_like(half)]), torch.cat([labels, labels])
    moved = torch.cat([half, torch.randn_like(half)]), torch.cat([labels, labels.flip(0)])
    assert value("zico", module, *steady) > value("zico", module, *moved) + 1
