"""Somebody in front of the page: what they open and press, and all that went wrong meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TABS = ("generate", "history", "utilities", "training", "settings")
PATIENCE_MS = 120_000  # a page is there in two seconds, unless many tests share the machine


class Visitor:
    """One browser context. Foreign requests are noted, as are errors of any kind."""

    def __init__(self, browser: Any, **context: object) -> None:
        size = {"width": 1280, "height": 900}
        self.context = browser.new_context(**{"viewport": size, **context})
        self.context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.forgiven: list[str] = []
        self.home = ""
        self.unanswered: set[Any] = set()
        self.context.on("request", self._request)
        self.context.on("requestfinished", lambda request: self.unanswered.discard(request))
        self.context.on("requestfailed", lambda request: self.unanswered.discard(request))
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.complain(f"error: {error.error}"))
        self.context.on("response", self._response)
        self.page = self.context.new_page()

    def open(self, url: str, tab: str = "generate") -> Any:
        """Go to the page, wait until it can be used, choose a tab; returns Playwright's page."""
        self.come_to(url)
        self.page.wait_for_selector("#generate-text", timeout=PATIENCE_MS)
        if tab != "generate":
            self.choose(tab)
        return self.page

    def come_to(self, url: str) -> None:
        """Go to an address, whatever is there."""
        self.home = urlsplit(url).netloc
        self.page.goto(url)

    def choose(self, tab: str) -> None:
        """Click a tab by its name."""
        button = self.page.get_by_role("tab", name=re.compile(f"^{tab}$", re.IGNORECASE))
        button.click()

    def control(self, name: str) -> Any:
        """The control of this element id."""
        return self.page.locator(f"#{name}")

    def unfold(self) -> None:
        """Open every fold of the tab that is shown, and the folds in them."""
        closed = self.page.locator(".label-wrap:not(.open):visible")
        quiet = 0
        while quiet < 3:  # what lies in a fold is drawn a moment after it opens
            if closed.count():
                closed.first.click()
                quiet = 0
            self.settle()
            quiet += 1

    def set(self, name: str, value: str | float | bool) -> None:
        """Turn a control as a hand would: tick it, choose from it, or type and leave it."""
        place = self.control(name)
        place.wait_for(state="visible")
        self.wait_for_answers()
        if isinstance(value, bool):
            place.locator("input[type=checkbox]").set_checked(value)
            return
        if place.locator("input[type=radio]").count():
            place.get_by_label(str(value), exact=True).check()
            return
        field = place.locator("textarea, input:not([type=range]):not([type=file])").first
        field.fill(str(value))
        if field.get_attribute("role") in ("combobox", "listbox"):
            self.page.get_by_role("option", name=str(value)).first.click()
        else:
            field.blur()  # with Tab the next list would open over what is to be clicked

    def wait_for_answers(self) -> None:
        """Wait until the server has answered every event: an answer may set what is set next."""
        quiet, end = 0, time.monotonic() + PATIENCE_MS / 1000
        while quiet < 3 and time.monotonic() < end:  # an answer may start the next event
            quiet = 0 if self.unanswered else quiet + 1
            self.page.wait_for_timeout(20)

    def slow_down(self, by_s: float = 1.0) -> None:
        """Send every request so much later from now on."""
        self.page.evaluate(
            "(delay) => { const send = window.fetch; window.fetch = (...sent) =>"
            " new Promise((done) => setTimeout(done, delay)).then(() => send(...sent)); }",
            1000 * by_s,
        )

    def settle(self) -> None:
        """Wait until what is shown stands still: fonts there, nothing loading, two frames drawn."""
        self.page.evaluate(
            "() => document.fonts.ready.then(() => new Promise((done) =>"
            " requestAnimationFrame(() => requestAnimationFrame(done))))"
        )
        self.page.wait_for_function("() => !document.querySelector('.wrap.generating:not(.hide)')")

    def parts(self, tab: str) -> Iterator[str]:
        """Choose a tab, then each of the tabs within it; yields what is shown, all unfolded."""
        self.choose(tab)
        inner = self.page.locator(f"#tab-{tab} [role=tab]:visible")
        names = inner.all_inner_texts() or [""]
        for number, name in enumerate(names):
            if name:
                inner.nth(number).click()
            self.unfold()
            self.settle()
            yield f"{tab} {name}".strip()

    def forgive(self, pattern: str) -> None:
        """Expect complaints of this kind in this test."""
        self.forgiven.append(pattern)

    def forgive_ended_server(self) -> None:
        """Expect what Chromium prints for any request that is open, or sent, as the server ends."""
        self.forgive(r"net::ERR_|status (of )?50\d|Failed to fetch|network|404")

    def complain(self, line: str) -> None:
        """Note what went wrong, unless it was to be expected."""
        if not any(re.search(pattern, line) for pattern in self.forgiven):
            self.complaints.append(line)

    def keep(self, path: Path) -> None:
        """Save what is on the screen."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.page.is_closed():
            self.page.screenshot(path=path, full_page=True)

    def leave(self) -> None:
        """Close the browser."""
        self.context.close()

    def _request(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.path.endswith("/run/predict"):
            self.unanswered.add(request)
        if address.scheme not in ("data", "blob") and address.netloc != self.home:
            self.complain(f"foreign: {request.url}")

    def _console(self, message: Any) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self.complain(f"console: {message.text} ({where})")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.complain(f"status {response.status}: {response.url}")


def length_of(player: Any) -> float:
    """Let a player fetch its clip; returns how many seconds it has."""
    code = """(node) => new Promise((done, failed) => {
        const read = () => node.duration && done(node.duration);
        node.addEventListener('loadedmetadata', read);
        node.addEventListener('error', () => failed(new Error(`cannot play ${node.src}`)));
        setTimeout(() => failed(new Error(`no metadata of ${node.src}`)), 30000);
        node.preload = 'auto';
        if (!node.readyState) node.load();
        read();
    })"""
    return float(player.evaluate(code))
