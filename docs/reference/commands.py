# ruff: noqa: INP001 - mkdocs runs this file, which is no part of a package
"""Writes the page of commands when the site is built: what --help of each says."""

import os
import subprocess
import sys

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from nas_space.programs import COMMANDS

_PAGE = "reference/commands.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page; mkdocs calls this by its name."""
    files.append(File.generated(config, _PAGE, content=_page()))
    return files


def _page() -> str:
    parts = [
        "# Commands",
        "",
        "In a clone `uv run python -m MODULE` and `uv run convnas WORD` do the same.",
        "Installed it is `convnas WORD`.",
        "",
    ]
    for command in COMMANDS:
        told = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-m", command.module, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"COLUMNS": "90"},
        ).stdout.strip()
        parts += [f"## {command.name}", "", f"`python -m {command.module}`: {command.purpose}."]
        parts += ["", "```text", told, "```", ""]
    return "\n".join(parts)
