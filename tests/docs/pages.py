"""What the README and the pages of docs tell people to type, as it stands there."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = (README, *sorted(DOCS.glob("*.md")))
"""Results and decisions keep the commands of their day, which are not all of today."""

_FILE = re.compile(r"# (\w+\.py)\n")
_FENCE = re.compile(r"^```(.*)\n((?:(?!```).*\n)*)```$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced part of a page: what language, and the text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Those of a page, in order."""
    return [Block(language, text) for language, text in _FENCE.findall(page.read_text())]


def commands(page: Path) -> list[str]:
    """The lines of a page that go into a shell, without their comments."""
    lines = (
        line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()
    )
    plain = (re.sub(r"\s+# .*", "", line).strip() for line in lines)
    return [line for line in plain if line and not line.startswith("#")]


def scripts(page: Path) -> list[str]:
    """The Python of a page, but for files."""
    return [text for text in _python(page) if not _FILE.match(text)]


def files(page: Path) -> dict[str, str]:
    """The Python of a page that a reader keeps in a file: its first line says its name."""
    return {found[1]: text for text in _python(page) if (found := _FILE.match(text))}


def _python(page: Path) -> list[str]:
    return [block.text for block in blocks(page) if block.language == "python"]
