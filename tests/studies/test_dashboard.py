"""Optuna's dashboard on a study, in a real browser."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna_dashboard import get_note, save_note
from selenium.webdriver.support.ui import WebDriverWait

from studies import dashboard, serving
from studies.pareto.front import front
from studies.records.claims import Claims, at_work
from studies.records.fidelity import complete
from studies.records.store import Store
from tests.browser import browser
from tests.refusals import called, refusal
from tests.studies.report.examples import owner, trained

NAME = "mine"


@dataclass(frozen=True)
class Served:
    """A running dashboard: its page, and what the front of its study is."""

    page: str
    front: list[int]


def written(url: str) -> list[int]:
    """Put a study into a new database, without Optuna's view of it; the trials of its front."""
    with closing(Store(url, create=True)) as store:
        shown = owner(NAME)
        shown.id = None  # type: ignore[assignment]
        study = store.enter(shown)
        for entry in trained(60):
            entry.study_id, entry.id = study.id, None  # type: ignore[assignment]
            store.record(entry)
        return [member.number for member in front(complete(store.evaluations(study), study))]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'convnas.db'}"
    best = written(url)
    server = subprocess.Popen(
        [sys.executable, "-m", "studies.dashboard", "--storage", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert server.stdout is not None
    # On a busy machine it says first what it waits for.
    said = next(line for line in server.stdout if not line.endswith(" …\n"))
    found = re.fullmatch(r"dashboard (http://127\.0\.0\.1:\d+/dashboard/studies/1) .*\n", said)
    assert found, said
    yield Served(found[1], best)
    server.send_signal(signal.SIGINT)
    rest, _ = server.communicate(timeout=30)
    assert (server.returncode, rest.strip()) == (0, "")


@pytest.mark.slow
def test_a_person_finds_the_objectives_and_a_network_of_the_front(served: Served) -> None:
    with browser() as opened:
        opened.get(served.page)
        wait = WebDriverWait(opened, 60)
        wait.until(lambda page: "Pareto Front" in page.page_source)
        wait.until(lambda page: "val_accuracy" in page.page_source and "macs" in page.page_source)
        opened.get(f"{served.page}/trials?numbers={served.front[-1]}")
        wait.until(lambda page: "On the front" in page.page_source)
        wait.until(lambda page: "stage1.block1.conv1" in page.page_source)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path / 'convnas.db'}"


def test_notes_are_of_the_front_alone_and_what_a_person_wrote_stays(url: str) -> None:
    best = written(url)
    with closing(Store(url)) as store:
        study = store.study(NAME)
        assert serving._complete(store, study, url) is None
        shown = optuna.load_study(study_name=NAME, storage=url)
        assert len(shown.trials) == store.count(study)
        noted = {t.number for t in shown.trials if get_note(optuna.Trial(shown, t._trial_id))}
        assert {shown.trials[number].user_attrs["evaluation"] for number in noted} == set(best)
        mine = optuna.Trial(shown, shown.trials[min(noted)]._trial_id)
        save_note(mine, "mine")
        assert serving._complete(store, study, url) is None
        assert get_note(mine) == "mine"


def test_while_a_search_is_at_work_its_trials_are_left_to_it(url: str) -> None:
    written(url)
    with closing(Store(url)) as store:
        study = store.study(NAME)
        with Claims(store, study):
            assert at_work(store, study)
            assert serving._complete(store, study, url) is None
            assert optuna.load_study(study_name=NAME, storage=url).trials == []
        assert not at_work(store, study)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--study", "none"], "no study 'none'"),
        (["--storage", "sqlite:///none.db"], "no database at none.db"),
        (["--port", "0"], "'0' is no port from 1 to 65535"),
        (["--port", "99999"], "'99999' is no port"),
    ],
)
def test_bad_input_is_one_line(
    url: str, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(url, create=True).close()
    with closing(Store(url)) as store:
        store.enter(owner(NAME))
    said = refusal(called(dashboard.main, "--storage", url, *options), capsys)
    assert reason in said


def test_a_port_that_is_taken_is_one_line_only_if_it_was_asked_for(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = called(dashboard.main, "--storage", url, "--port", str(port))
        assert f"port {port} cannot be used (Address already in use)" in refusal(run, capsys)
