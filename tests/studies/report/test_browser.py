"""A report in a real browser: what a person sees and can do."""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from nas_space.cli import short
from studies.analysis.facts import Facts
from studies.report.page import page
from tests.browser import browser, complaints, resize
from tests.studies.report.examples import facts, trained

pytestmark = pytest.mark.slow

PHONE = 375


@pytest.fixture(scope="module")
def shown() -> Facts:
    return facts(trained(200))


@pytest.fixture(scope="module")
def opened(shown: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    place = tmp_path_factory.mktemp("report") / "report.html"
    place.write_text(page(shown))
    with browser() as driver:
        driver.get(place.as_uri())
        yield driver


def test_the_front_is_there_and_nothing_complains(opened: WebDriver, shown: Facts) -> None:
    points = opened.find_elements(By.CSS_SELECTOR, "svg .member")
    assert [p.get_attribute("data-trial") for p in points] == [str(e.number) for e in shown.shown]
    assert all(point.is_displayed() for point in points)
    assert complaints(opened) == []


def test_pointing_at_a_network_shows_its_architecture_and_lights_its_row(
    opened: WebDriver, shown: Facts
) -> None:
    entry = shown.shown[0]
    point = opened.find_element(By.CSS_SELECTOR, f'.member[data-trial="{entry.number}"]')
    ActionChains(opened).move_to_element(point).perform()
    said = opened.find_element(By.ID, "said").text
    assert str(shown.architectures[entry.number]) in said
    assert f"{entry.val_accuracy:.2%}" in said
    row = opened.find_element(By.CSS_SELECTOR, f'.members [data-trial="{entry.number}"]')
    assert "lit" in (row.get_attribute("class") or "")


def test_the_keyboard_reaches_every_network_of_the_front(opened: WebDriver, shown: Facts) -> None:
    first, *rest = opened.find_elements(By.CSS_SELECTOR, "svg .member")
    opened.execute_script("arguments[0].focus()", first)
    for entry in shown.shown[1:]:
        ActionChains(opened).send_keys(Keys.TAB).perform()
        said = opened.find_element(By.ID, "said").text
        assert said.startswith(f"trial {entry.number}: ")
    assert len(rest) == len(shown.shown) - 1


def test_a_phone_need_not_scroll_sideways(opened: WebDriver) -> None:
    resize(opened, PHONE)
    try:
        width = opened.execute_script("return document.documentElement.scrollWidth")
        assert width == PHONE
        point = opened.find_element(By.CSS_SELECTOR, "svg .member")
        point.click()
        assert opened.find_element(By.ID, "said").text.startswith("trial ")
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(opened: WebDriver, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    colours = opened.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    ink, paper = (luminance(colour) for colour in colours)
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7  # WCAG 2, level AAA
    assert (paper > ink) is (scheme == "light")


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, as WCAG 2 has it."""
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(word) / 255 for word in colour[4:-1].split(","))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_report_needs_no_network(opened: WebDriver) -> None:
    loaded = opened.execute_script("return performance.getEntriesByType('resource').length")
    assert loaded == 0
    assert Path(opened.current_url.removeprefix("file://")).exists()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search with a front of some dozens of networks."""
    entries, chance = trained(600, failing=0.0, full=1.0), random.Random(1)
    for entry in entries:
        entry.val_accuracy = 0.14 * math.log10(entry.macs) - 0.22 + chance.gauss(0, 0.03)
    found = facts(entries)
    assert len(found.front) > 25
    place = tmp_path_factory.mktemp("long") / "long.html"
    place.write_text(page(found))
    return place


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_the_bars_of_the_layers_are_on_the_screen(long: Path, width: int) -> None:
    with browser() as driver:
        resize(driver, width)
        driver.get(long.as_uri())
        box = driver.find_element(By.CSS_SELECTOR, ".scroll:has(.layers)")
        for bar in driver.find_elements(By.CSS_SELECTOR, ".layers .shares"):
            assert bar.rect["x"] + bar.rect["width"] <= width
        wide = driver.execute_script("return arguments[0].scrollWidth", box)
        assert (wide <= box.rect["width"]) is (width == 1400)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        if width < 1400:  # the names of the layers stay when the networks are scrolled
            name = driver.find_element(By.CSS_SELECTOR, ".layers tbody td")
            before = name.rect["x"]
            driver.execute_script("arguments[0].scrollLeft = 200", box)
            assert name.rect["x"] == before


def test_a_phone_shows_every_accuracy_without_scrolling_sideways(
    opened: WebDriver, shown: Facts
) -> None:
    resize(opened, PHONE)
    try:
        rows = opened.find_elements(By.CSS_SELECTOR, ".members tbody tr")
        assert len(rows) == len(shown.shown)
        for row, entry in zip(rows, shown.shown, strict=True):
            cells = row.find_elements(By.TAG_NAME, "td")
            assert cells[1].text == f"{entry.val_accuracy:.2%}"
            assert all(cell.rect["x"] + cell.rect["width"] <= PHONE for cell in cells)
        assert opened.find_element(By.CSS_SELECTOR, ".answer").rect["y"] < 200
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_heading_sorts_its_table(opened: WebDriver, shown: Facts) -> None:
    def column(number: int) -> list[str]:
        cells = opened.find_elements(By.CSS_SELECTOR, f".members td:nth-child({number})")
        return [cell.text for cell in cells]

    heading = opened.find_element(By.XPATH, "//table[@class='members']//th[.='MACs']")
    assert heading.value_of_css_property("text-align") == "right"
    at = 1 + int(heading.get_property("cellIndex"))  # type: ignore[arg-type]
    ascending = [short(entry.macs) for entry in shown.shown]
    assert column(at) == ascending
    heading.click()
    assert column(at) == ascending[::-1]
    heading.send_keys(Keys.ENTER)
    assert column(at) == ascending
    assert heading.get_attribute("aria-sort") == "ascending"
    layers = opened.find_elements(By.CSS_SELECTOR, ".layers [aria-sort]")
    assert layers == [], "their order is that of the network"
    assert complaints(opened) == []


def test_it_is_printed_with_its_colours(opened: WebDriver) -> None:
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        bar = opened.find_element(By.CSS_SELECTOR, ".shares i")
        assert bar.value_of_css_property("print-color-adjust") == "exact"
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
