"""Chromium in front of the real server; without a browser these tests skip and say why."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser.server import REPOSITORY, StudioProcess, make_root
from browser.visitor import Visitor

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(900))  # they share a machine with other work


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember a failure, so that what was on the screen can be kept."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """One Chromium for all tests."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    program = os.environ.get("TESTUDO_BROWSER", found)
    if program is None:
        pytest.skip("there is no Chromium: install the package chromium, or set TESTUDO_BROWSER")
    with playwright_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def studio(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """The studio that most tests share."""
    running = StudioProcess(make_root(tmp_path_factory.mktemp("studio") / "root"))
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture
def own_studio(browser: object, tmp_path: Path) -> Iterator[Callable[..., StudioProcess]]:
    """Start studios that a test may kill."""
    started: list[StudioProcess] = []

    def start(
        *, root: Path | None = None, everywhere: bool = False, path: str = ""
    ) -> StudioProcess:
        made = root or make_root(tmp_path / f"root{len(started)}")
        started.append(StudioProcess(made, everywhere=everywhere, path=path))
        return started[-1].start()

    yield start
    for running in started:
        running.close()


@pytest.fixture
def visitor(browser: object, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visitor]]:
    """Open browsers of their own, each with no past; at the end none may have complained."""
    visitors: list[Visitor] = []

    def arrive(**context: object) -> Visitor:
        visitors.append(Visitor(browser, **context))
        return visitors[-1]

    yield arrive
    name = re.sub(r"\W+", "-", request.node.name)
    failed = request.node.stash.get(FAILED, False)
    for number, one in enumerate(visitors):
        if failed:
            one.keep(SCREENSHOTS / "failed" / f"{name}-{number}.png")
        one.leave()
    if not failed:
        assert [line for one in visitors for line in one.complaints] == []


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Keep a measured figure beside the pictures, and in the report of the test."""

    def keep(what: str, figure: str) -> None:
        record_property(what, figure)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        with (SCREENSHOTS / "figures.txt").open("a", encoding="utf-8") as figures:
            figures.write(f"{what}: {figure}\n")

    return keep


@pytest.fixture(autouse=True)
def no_tracebacks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does, the server it shares has nothing to be sorry for."""
    if "studio" not in request.fixturenames:
        yield
        return
    running: StudioProcess = request.getfixturevalue("studio")
    before = len(running.log)
    yield
    assert "Traceback" not in running.log[before:]


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the page are kept for looking at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
