"""A real browser for tests of pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver


@contextmanager
def browser(width: int = 1200, height: int = 900) -> Iterator[WebDriver]:
    """Chromium without a window; it keeps what pages write to its console."""
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or program is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium: apt-get install chromium chromium-driver")
        pytest.skip("no chromium: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = program
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(option)
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened
    finally:
        opened.quit()


def resize(opened: WebDriver, width: int, height: int = 800) -> None:
    """Make the page as wide as a device's screen; a window has a least width, a screen has none."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def complaints(opened: WebDriver) -> list[str]:
    """What the page has written to the console since this was asked last."""
    entries: list[dict[str, str]] = opened.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries]
