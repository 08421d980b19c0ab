"""A report in a real browser: what a person sees and can do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

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
