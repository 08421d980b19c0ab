"""What a command says while it is silent otherwise."""

import subprocess
import sys
import time

import pytest

from nas_space import waiting as told
from nas_space.waiting import waiting


def test_who_waits_for_long_is_told_for_what_and_then_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(told, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(told, "_NEXT_SECONDS", 0.4)
    with waiting("reading the images") as say:
        time.sleep(0.2)
        say("1 of 2 images read")
        time.sleep(0.5)
    out, err = capsys.readouterr()
    assert out == ""
    first, second, *_ = err.splitlines()
    assert (first, second) == ("reading the images …", "1 of 2 images read (0 s so far) …")


def test_what_is_quick_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("reading the images"):
        pass
    with pytest.raises(KeyError), waiting("reading the images"):
        raise KeyError
    assert capsys.readouterr() == ("", "")


def test_a_command_that_imports_for_long_says_so() -> None:
    code = (
        "import sys; from nas_space import waiting; waiting._FIRST_SECONDS = 0.0\n"
        "sys.argv = ['networks', 'nin']\n"
        "from nas_space.networks import main; raise SystemExit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "loading torch …\n"
    assert "nin" in done.stdout
