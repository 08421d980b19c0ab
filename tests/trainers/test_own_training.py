"""Networks judged by a function of the user's own."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from nas_space import plugins
from searchers.settings import Settings
from searchers.setup import set_up
from trainers import devices, evaluators
from trainers.checkpoints import CheckpointError, CheckpointInMemory
from trainers.data.registry import load
from trainers.evaluators import EvaluatorError
from trainers.own_training import Judgement, OwnTrainer, trainer_for
from trainers.recipes import RECIPES, recorded
from trainers.training import Trainer

DATA = load("digits").search
QUICK = RECIPES.get("quick")
PATH = "judges_of_mine:worst_class"

Offer = Callable[[Callable[..., Any]], OwnTrainer]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Makes a function judge networks."""
    module = ModuleType("judges_of_mine")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv(plugins.VARIABLE, module.__name__)

    def judged_by(function: Callable[..., Any]) -> OwnTrainer:
        module.worst_class = function  # type: ignore[attr-defined]
        made = trainer_for(DATA, QUICK.judged_by(PATH), devices.best(8))
        assert isinstance(made, OwnTrainer)
        return made

    return judged_by


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def test_it_trains_the_network_itself_on_images_from_0_to_1(offer: Offer) -> None:
    seen: dict[str, Any] = {}

    def judge(module: nn.Module, data: object, epochs: int) -> float:
        with torch.no_grad():
            seen["logits"] = module(torch.full((1, 1, 8, 8), 0.5))
            next(module.parameters()).zero_()
        seen.update(data=data, epochs=epochs)
        return 0.25

    mine = network()
    before = mine((torch.full((1, 1, 8, 8), 0.5) - DATA.mean[0]) / DATA.std[0])
    outcome = offer(judge).train(mine, seed=3, until=2)
    assert isinstance(outcome, Judgement)
    assert (outcome.val_accuracy, outcome.train_loss) == (0.25, None)
    assert torch.allclose(seen["logits"], before, atol=1e-6)
    assert not next(mine.parameters()).any()
    assert (seen["data"], seen["epochs"]) == (DATA, 2)
    assert [name for name, _ in mine.named_buffers()] == []


def test_all_chance_follows_the_seed(offer: Offer) -> None:
    trainer = offer(lambda module, data, epochs, seed: float(torch.rand(1)) + 0 * seed)  # noqa: ARG005
    scores = [trainer.train(network(), seed=seed).val_accuracy for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


def test_a_training_pauses_and_goes_on_by_its_own_bytes(offer: Offer) -> None:
    given = []

    def judge(
        module: nn.Module,  # noqa: ARG001
        data: object,  # noqa: ARG001
        epochs: int,
        checkpoint: bytes | None = None,
    ) -> tuple[float, bytes]:
        given.append((epochs, checkpoint))
        return epochs / 10, b"%d epochs" % epochs

    trainer = offer(judge)
    assert evaluators.takes_checkpoints(PATH)
    bag = CheckpointInMemory("one", until=2)
    assert trainer.train(network(), seed=0, checkpoint=bag, until=2).val_accuracy == 0.2
    again = CheckpointInMemory("one", until=6, data=bag.data)
    assert trainer.train(network(), seed=0, checkpoint=again, until=6).val_accuracy == 0.6
    assert given == [(2, None), (6, b"2 epochs")]
    with pytest.raises(CheckpointError, match="another training"):
        trainer.train(network(), seed=0, checkpoint=CheckpointInMemory("two", 6, bag.data))


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "good", None, (0.5, b"")])
def test_what_is_no_score_is_refused(offer: Offer, score: object) -> None:
    trainer = offer(lambda module, data, epochs: score)  # noqa: ARG005
    with pytest.raises(EvaluatorError, match="which is no number"):
        trainer.train(network(), seed=0)


def test_a_function_of_a_stranger_is_not_run(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(lambda module, data, epochs: 0.5)  # noqa: ARG005
    monkeypatch.setenv(plugins.VARIABLE, "")
    with pytest.raises(EvaluatorError, match=r"judged by .*: if you trust it, add --plugin judges"):
        evaluators.function(PATH)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("judge", "name a function as module:function"),
        ("judges_of_mine:none", "none is nothing in judges_of_mine"),
        ("trainers.recipes:recorded", "must be a function of module, data and epochs"),
        ("trainers.recipes:", "name a function as module:function"),
        ("collections:Counter", "must be a function of module, data and epochs"),
        ("math:pi", "must be a function of module, data and epochs"),
    ],
)
@pytest.mark.usefixtures("offer")
def test_what_is_no_judge_is_refused(path: str, said: str) -> None:
    with pytest.raises(EvaluatorError, match=said):
        evaluators.use(path)


def test_a_module_that_is_not_there_names_the_option() -> None:
    with pytest.raises(plugins.PluginError, match=r"nothing_there .* or leave out --evaluate"):
        evaluators.use("nothing_there:judge")


def test_its_name_is_the_metrics_and_the_record_keeps_it(offer: Offer) -> None:
    assert evaluators.metric(PATH).name == "worst class"
    assert evaluators.metric(None).name == "accuracy"
    recipe = QUICK.judged_by(PATH)
    assert recorded(recipe.to_json()) == recipe
    assert recorded(QUICK.to_json()) == QUICK
    assert "evaluate" not in QUICK.to_json()
    assert isinstance(trainer_for(DATA, QUICK, devices.best(8)), Trainer)
    offer(lambda module, data, epochs: 0.5)  # noqa: ARG005
    setup = set_up(Settings(space="mixed", budget=2, evaluate=PATH))
    assert setup.rungs == (6,), "it cannot pause"
    assert setup.recipe == recipe
    offer(lambda module, data, epochs, checkpoint: (0.5, b""))  # noqa: ARG005
    assert set_up(Settings(space="mixed", budget=2, evaluate=PATH)).rungs == (2, 6)
