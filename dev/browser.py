"""A headless Chromium that is logged in to an Airflow: for the README's pictures, and for looking at the pages as a user does."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

#: Where Debian, Fedora and others keep the two programs.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"

#: Nothing may move while a picture is taken.
_CALM = "*,*::before,*::after{transition:none!important;animation:none!important;caret-color:transparent!important}"


class Page:
    """One page of a browser; every method waits for what it needs and never for a fixed time.

    :param driver: the running browser.
    :param address: the Airflow's address, for paths.
    :param seconds: how long an element may take to appear.
    """

    def __init__(self, driver: webdriver.Chrome, address: str, seconds: float = 30) -> None:
        self.driver = driver
        self.address = address
        self.seconds = seconds

    def wait(self, condition: Callable[[webdriver.Chrome], Any], what: str) -> Any:
        """Return what ``condition`` gives as soon as it is true.

        :raises TimeoutError: naming ``what`` and the page.
        """
        waiting = WebDriverWait(self.driver, self.seconds, 0.2, ignored_exceptions=(StaleElementReferenceException,))
        try:
            return waiting.until(condition)
        except TimeoutException as error:
            shown = self.driver.find_element(By.TAG_NAME, "body").text
            raise TimeoutError(f"{self.driver.current_url} never showed {what}; it shows:\n{shown[:2000]}") from error

    def open(self, path: str) -> None:
        """Go to a path of the Airflow."""
        self.driver.get(f"{self.address}{path}")
        self.driver.execute_script(
            "document.head.append(Object.assign(document.createElement('style'),{textContent:arguments[0]}))", _CALM
        )

    def find(self, xpath: str) -> WebElement:
        """Return the first visible element of an XPath."""
        found: WebElement = self.wait(lambda driver: next(iter(_visible(driver, xpath)), None), xpath)
        return found

    def all(self, xpath: str) -> list[WebElement]:
        """Return the elements of an XPath that are visible now."""
        return _visible(self.driver, xpath)

    def text(self, text: str) -> WebElement:
        """Return the innermost visible element that holds a text."""
        return self.find(
            f"//*[contains(normalize-space(.), {_quoted(text)})][not(*[contains(normalize-space(.), {_quoted(text)})])]"
        )

    def click(self, xpath: str) -> None:
        """Click an element once it is visible and enabled."""
        element: WebElement = self.wait(lambda _: (found := self.find(xpath)).is_enabled() and found, f"{xpath} enabled")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def click_text(self, text: str) -> None:
        """Click the innermost element that holds a text."""
        self.text(text).click()

    def type(self, xpath: str, text: str) -> None:
        """Type into an input."""
        self.find(xpath).send_keys(text)

    def settled(self) -> None:
        """Wait until the page loads nothing more and looks the same twice in a row."""
        before: list[bytes] = []

        def same(driver: webdriver.Chrome) -> bool:
            now = driver.get_screenshot_as_png()
            unchanged = bool(before) and before[-1] == now and not _visible(driver, _BUSY)
            before.append(now)
            return unchanged

        self.wait(same, "the same picture twice")

    def save(self, target: Path, element: WebElement | None = None) -> None:
        """Save what is shown, or one element of it, once it is settled."""
        self.settled()
        target.write_bytes(element.screenshot_as_png if element is not None else self.driver.get_screenshot_as_png())


#: What Airflow shows while it still asks for data.
_BUSY = "//*[contains(@class, 'chakra-spinner') or contains(@class, 'chakra-skeleton') or @role='progressbar']"


def _visible(driver: webdriver.Chrome, xpath: str) -> list[WebElement]:
    return [element for element in driver.find_elements(By.XPATH, xpath) if element.is_displayed()]


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else f'"{text}"'


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise SystemExit(
        f"{names[0]} was not found; the pictures need Chromium and its driver (on Debian: chromium and chromium-driver)"
    )


@contextlib.contextmanager
def browser(address: str, user: str, password: str, *, width: int = 1600, height: int = 1000) -> Iterator[Page]:
    """Start a headless Chromium, log in to the Airflow at ``address``, and end the browser afterwards.

    :param width: of the window, in pixels.
    :param height: likewise.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = _program(*CHROMIUM)
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-US"),
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_program(DRIVER)))
        try:
            # The window's frame takes some of its height, also without a screen.
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            )
            page = Page(driver, address)
            page.open("/")
            page.type("//input[@name='username']", user)
            page.type("//input[@name='password']", password)
            page.click("//button[@type='submit']")
            page.find("//nav | //*[@data-testid='nav'] | //a[contains(@href, '/dags')]")
            yield page
        finally:
            driver.quit()
