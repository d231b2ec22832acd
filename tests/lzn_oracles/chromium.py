"""Headless Chromium on files of this machine, as Debian has it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

MISSING = "the report is tested in Chromium: apt-get install chromium chromium-driver"
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """A browser with a new profile; it keeps what the page says on the console and asks of the network."""
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
    """The page's own width in CSS pixels, narrower too than a window can be."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def requests(window: Chrome) -> list[str]:
    """Addresses that were asked for since the last call, those within the page itself left out."""
    messages: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in window.get_log("performance")
    ]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in asked if not address.startswith(("data:", "chrome:"))]
