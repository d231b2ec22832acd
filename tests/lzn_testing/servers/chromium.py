"""Headless Chromium from Debian's packages, for pages on this machine."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

MISSING = "Chromium is not installed: apt-get install chromium chromium-driver"
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Start a browser with a new profile. It records the page's console messages and network requests."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail(MISSING)
    options = ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


def set_width(window: Chrome, width: int, height: int = 900) -> None:
    """Set the page's width in CSS pixels; it may be narrower than a window can be."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def requests(window: Chrome) -> list[str]:
    """Return the addresses requested since the last call, without those inside the page."""
    messages: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in window.get_log("performance")
    ]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in urls if not address.startswith(("data:", "chrome:"))]


def find(window: Chrome, css: str) -> list[WebElement]:
    """Return elements of the page."""
    return window.find_elements(By.CSS_SELECTOR, css)


def column(window: Chrome, table: str, position: int) -> list[str]:
    """Return the first line of each cell in a column, from top to bottom. Positions start at 1."""
    cells = find(window, f"{table} tbody tr > :nth-child({position})")
    return [cell.text.splitlines()[0] for cell in cells]


def click(window: Chrome, element: WebElement) -> None:
    """Click an element, in the middle of the window so that no fixed element covers it."""
    window.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def press(window: Chrome, *keys: str) -> None:
    """Press keys."""
    ActionChains(window).send_keys(*keys).perform()


def contrast(window: Chrome, css: str) -> float:
    """Return the WCAG contrast between an element's text and its background."""
    ratio: float = window.execute_script(
        """
        const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
        const lum = c => rgb(c).slice(0, 3).map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
          .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
        let e = document.querySelector(arguments[0]);
        const text = lum(getComputedStyle(e).color);
        while (rgb(getComputedStyle(e).backgroundColor)[3] === 0) e = e.parentElement;
        const back = lum(getComputedStyle(e).backgroundColor);
        return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
        """,
        css,
    )
    return ratio
