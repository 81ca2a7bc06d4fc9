"""The pictures of the README, of a made-up month: `python -m tests.console.screenshots`."""

import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from cli.demo_fill import fill
from settings.schema import Settings
from tests.console.conftest import CHROMIUM, CHROMIUM_FLAGS, opened

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SHOWN = "end:complete Kubernetes"


def main() -> None:
    """Make them anew."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        _taken(Settings.model_validate({"data_dir": f"{folder}/data"}))


def _taken(settings: Settings) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        with opened(settings, who="auditor") as room:
            context = browser.new_context(viewport={"width": 1280, "height": 760})
            context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
            page = context.new_page()
            page.goto(room.url("/exchanges"))
            page.wait_for_timeout(500)
            page.screenshot(path=PICTURES / "exchanges.png")
            page.goto(room.url(f"/exchanges?{urlencode({'q': SHOWN})}"))
            found = page.locator(".line").first.get_attribute("data-href")
            page.goto(room.url(str(found)))
            page.wait_for_timeout(300)
            page.screenshot(path=PICTURES / "exchange.png")
        browser.close()


if __name__ == "__main__":
    main()
