"""What the command line means, and what of it is recorded."""

import pytest

from searchers.terminal.arguments import read


@pytest.mark.parametrize("form", [["--storage", "{}"], ["--storage={}"]], ids=str)
def test_a_password_is_not_recorded_with_the_command(form: list[str]) -> None:
    url = "postgresql+psycopg://me:secret@db.example/nas"
    argv = ["--space", "igc", "--budget", "5", *(word.format(url) for word in form)]
    settings = read(argv)
    assert settings.storage == url
    assert "secret" not in settings.command
    assert "me:***@db.example/nas" in settings.command
    assert "--space igc --budget 5" in settings.command


def test_a_secret_in_a_parameter_is_not_recorded_either_and_bytes_that_are_no_text_can_be() -> None:
    url = "postgresql+psycopg://db.example/nas?sslmode=require&password=secret"
    argv = ["--space", "igc", "--budget", "5", "--storage", url, "--data-dir", "caf\udce9"]
    settings = read(argv)
    assert settings.storage == url
    assert "sslmode=require&password=***" in settings.command
    assert settings.command.encode().endswith(rb"--data-dir 'caf\udce9'")


def test_commands_to_type_start_as_the_users_own_did(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["--space", "igc", "--budget", "5"]
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    assert read(argv).command == "python -m searchers.run --space igc --budget 5"
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert read(argv).command.startswith("uv run python -m searchers.run")
