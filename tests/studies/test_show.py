"""One network, layer by layer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.costs.cost import predict
from nas_space.spaces.registry import get
from studies import show
from studies.analysis import layer_costs
from studies.records.store import Store
from tests.examples import TASK, architecture, evaluation, study

Said = Callable[..., tuple[int, str, str]]


@given(st.integers(0, 10**9))
def test_layers_account_for_all_macs(number: int) -> None:
    found = architecture(number)
    layers = list(layer_costs.layer_costs(found, TASK))
    assert sum(layer.macs for layer in layers) == predict(found, TASK).macs
    assert len({layer.layer for layer in layers}) == len(layers)


def test_maps_shrink_where_a_stage_begins() -> None:
    for down, entered in (("strided", ((8, 8), 2)), ("pooled", ((4, 4), 1))):
        network = get("mixed").decode({"stage2.down": down})
        sizes = {
            layer.layer: (layer.size, layer.stride)
            for layer in layer_costs.layer_costs(network, TASK)
        }
        assert sizes["stage2.block1.conv1"] == sizes["stage2.block1.shortcut"] == entered
        assert sizes["stage2.block1.conv2"] == ((4, 4), 1)


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    url = f"sqlite:///{tmp_path / 's.db'}"
    store = Store(url, create=True)
    owner = store.enter(study(dataset=study().dataset | {"classes": list("0123456789")}))
    store.record(evaluation(owner, 1, 0.75))
    store.record(evaluation(owner, 2, None))
    store.record(evaluation(owner, 3, 0.4, epochs=2))
    store.close()

    def run(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["convnas-show", "--storage", url, *options])
        code = show.main()
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_person_reads_what_each_layer_costs(said: Said) -> None:
    code, out, _ = said("0")
    assert code == 0
    assert "trial 0 of study s" in out
    assert "75.00% accuracy on validation after 6 epochs\n" in out
    assert "stage1.block1.conv1" in out
    assert "100.0%" not in out
    assert "█" * 20 in out, "the longest bar"


def test_failed_and_partial_trials_say_what_they_are(said: Said) -> None:
    assert "failed: RuntimeError: out of memory" in said("1")[1]
    assert "40.00% accuracy on validation after 2 epochs of 6, a partial training" in said("2")[1]


def test_programs_read_json(said: Said) -> None:
    _, out, _ = said("0", "--json")
    shown = json.loads(out)
    assert (shown["trial"], shown["key"]) == (0, architecture(1).key)
    assert shown["layers"][-1]["layer"] == "classifier"
    failed = json.loads(said("1", "--json")[1])
    assert (failed["status"], failed["val_accuracy"]) == ("failed", None)


@pytest.mark.parametrize("trial", ["3", "-1", "x", "", "٣", "0 "])
def test_a_trial_that_is_not_there_is_one_line(said: Said, trial: str) -> None:
    code, out, err = said("--", trial) if trial.startswith("-") else said(trial)
    assert (code, out) == (2, "")
    assert err == f"error: no trial {trial!r} in study s; it has 0 to 2\n"
