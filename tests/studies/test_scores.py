"""`python -m studies.scores` on real networks of the digits."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from studies import scores
from studies.records.store import Store
from studies.report import command as report
from tests.examples import evaluation, study
from tests.refusals import after_waiting
from trainers.data.registry import load

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    data = load("digits", subset=300)
    name = f"sqlite:///{tmp_path / 's.db'}"
    store = Store(name, create=True)
    described = {
        **study().dataset,
        "subset": 300,
        "val_subset": 300,
        "fingerprint": data.fingerprint,
        "classes": list(data.search.classes),
    }
    owner = store.enter(study(dataset=described))

    def run(count: int, *options: str) -> tuple[int, str, str]:
        for number in range(count):
            store.record(evaluation(owner, 7 * number + 1, 0.5 + number / 100))
            store.record(evaluation(owner, 7 * number + 2, 0.1, epochs=2))
        store.close()
        monkeypatch.setattr("sys.argv", ["convnas-scores", "--storage", name, *options])
        code = scores.main()
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_every_score_stands_beside_parameters_and_macs(said: Said) -> None:
    code, out, _ = said(10, "--json")
    assert code == 0
    rows = json.loads(out)
    names = {"params", "macs", "grad-norm", "naswot", "snip", "synflow", "zen", "zico"}
    assert {row["name"] for row in rows} == names
    assert all(row["count"] == 10 for row in rows), "partial trainings say nothing"
    assert [row["rho"] for row in rows] == sorted((row["rho"] for row in rows), reverse=True)


def test_a_person_reads_a_table_and_a_verdict(said: Said) -> None:
    code, out, _ = said(10)
    assert code == 0
    assert "Rank correlation with validation accuracy" in out
    assert "would have helped: a score wins if" in out
    assert "(10 networks, one seed each)" in out


def test_few_networks_say_nothing(said: Said) -> None:
    code, _, err = said(3)
    assert code == 2
    assert after_waiting(err) == (
        "error: study s has trained 3 networks to the end; correlations of fewer than 10 say "
        "nothing\n"
    )


@pytest.mark.slow
def test_a_report_shows_them_where_it_is_asked_to(said: Said, tmp_path: Path) -> None:
    said(10, "--json")
    page = tmp_path / "r.html"
    sys.argv = ["report", "--storage", f"sqlite:///{tmp_path / 's.db'}", "--output", str(page)]
    for option in ([], ["--scores"]):
        sys.argv += option
        assert report.main() == 0
        assert ("synflow" in page.read_text()) == bool(option)
