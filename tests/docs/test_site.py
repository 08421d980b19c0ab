"""The pages as a site: whole, and with links that lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, README, ROOT

TYPED = re.compile(r"python -m (benchmarks\.[\w.]+)((?: +(?:[^\s`#]|`(?!`))+)*)")
LINK = re.compile(r"\]\(((?!http)[^)#]+)")
EVERY = (README, *sorted(DOCS.rglob("*.md")))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        # A notice of the theme's about another project.
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    site = tmp_path / "site"
    assert (site / "search" / "index.html").exists()
    assert "--budget" in (site / "reference" / "commands" / "index.html").read_text()
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?([^\s\">]+)", page.read_text()
        )
        assert not [place for place in loaded if "//" in place], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text()), style


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)", README.read_text())))
)
def test_links_of_the_readme_lead_to_files(target: str) -> None:
    assert (ROOT / target).exists()


def test_benchmarks_that_pages_name_are_there_and_know_the_options_given() -> None:
    # They take minutes to hours, so only what is typed is checked.
    found = [match for page in EVERY for match in TYPED.findall(page.read_text())]
    assert len(found) > 10
    for module, arguments in found:
        place = ROOT / module.replace(".", "/")
        source = (place / "__main__.py" if place.is_dir() else place.with_suffix(".py")).read_text()
        for option in re.findall(r"--[a-z-]+", arguments):
            assert f'"{option}"' in source, f"{module} has no {option}"
