"""Names, files and headers of people who mean harm, against the real server."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from browser.server import StudioProcess
from browser.visitor import Visitor

OUTSIDE = (
    "/api/files/results/../../settings.yaml",
    "/api/files/results/..%2f..%2fsettings.yaml",
    "/api/files/results/%2e%2e/%2e%2e/settings.yaml",
    "/api/files/voices//etc/passwd",
    "/api/files/voices/..%5c..%5csettings.yaml",
    "/api/files/models/starter/config.json",
    "/file=/etc/passwd",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=settings.yaml",
    "/gradio_api/file=state/jobs.sqlite",
    "/static/../../../../etc/passwd",
    "/assets/..%2f..%2f..%2f..%2fetc/passwd",
    "/theme.css/../../etc/passwd",
)
TRICKS = (
    "../clara",
    "/etc",
    "..",
    "clara/../../models",
    "C:\\Windows",
    "con",
    "\x00",
    "a" * 5_000,
    "<script>alert(1)</script>",
    "-rf",
)
SCRIPT = '<img src=x onerror="window.robbed=1"><script>window.robbed=1</script>'


def ask(
    studio: StudioProcess,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> tuple[int, bytes]:
    """Send exactly this; returns the status and what came back."""
    line = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
    try:
        line.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            line.putheader(name, value)
        if body is not None and "Content-Length" not in (headers or {}):
            line.putheader("Content-Length", str(len(body)))
        line.endheaders(body)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/api/jobs", "/config", "/docs"])
def test_a_name_that_is_not_ours_is_refused(host: str, path: str, studio: StudioProcess) -> None:
    assert ask(studio, path, headers={"Host": host})[0] == 400


@pytest.mark.parametrize(
    "path", ["/api/jobs/speak", "/v1/audio/speech", "/gradio_api/upload", "/gradio_api/queue/join"]
)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_another_page_may_not_act(path: str, origin: str, studio: StudioProcess) -> None:
    body = b'{"text": "Good evening."}'
    told = {"Origin": origin, "Content-Type": "application/json"}
    before = len(studio.jobs())
    assert ask(studio, path, "POST", told, body)[0] == 403
    assert len(studio.jobs()) == before


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_file_outside_is_given_away(path: str, studio: StudioProcess) -> None:
    (studio.root / "settings.yaml").exists() or (studio.root / "settings.yaml").write_text("{}\n")
    status, body = ask(studio, path)
    assert status >= 400 and b"root:" not in body and b"SQLite" not in body


@pytest.mark.parametrize("voice", TRICKS)
def test_a_voice_with_a_tricky_name_is_refused(voice: str, studio: StudioProcess) -> None:
    before = sorted(path.name for path in studio.root.iterdir())
    body = json.dumps({"text": "Good evening.", "voice": voice}).encode()
    told = {"Content-Type": "application/json"}
    status, answer = ask(studio, "/api/jobs/speak", "POST", told, body)
    assert 400 <= status < 500, answer
    assert b"Traceback" not in answer
    assert sorted(path.name for path in studio.root.iterdir()) == before


def test_an_upload_beyond_the_limit_is_refused_before_it_is_read(studio: StudioProcess) -> None:
    told = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(10**12)}
    assert ask(studio, "/gradio_api/upload", "POST", told)[0] == 413


def test_markup_in_names_and_texts_stays_text(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    one.set("generate-text", f"Good evening. {SCRIPT}")
    one.control("generate-run").click()
    page.locator("article.job").filter(has_text="Good evening").first.wait_for()
    one.choose("history")
    one.settle()
    assert page.evaluate("() => window.robbed") is None


def test_broken_files_are_refused_in_words(
    studio: StudioProcess, visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    one = visitor()
    page = one.open(studio.url, "utilities")
    place = page.locator("#tab-utilities")
    for number, data in enumerate((b"", b"RIFF\xff\xff\xff\xffWAVE" * 99, b"\x00" * 5_000)):
        broken = tmp_path / f"..%2f..%2fevil {number} <b>name.wav"
        broken.write_bytes(data)
        page.locator("#utilities-drop input[type=file]").set_input_files(broken)
        place.get_by_text(f"evil {number}").first.wait_for()
        place.get_by_text(re.compile("damaged|no settings|empty|not a sound")).first.wait_for()
        page.locator("#utilities-drop").get_by_label("Clear").click()


def test_listening_wider_asks_for_a_login(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio = own_studio(everywhere=True)
    assert ask(studio, "/api/jobs")[0] == 401
    assert ask(studio, "/gradio_api/upload", "POST", body=b"x")[0] == 401
    one = visitor()
    one.forgive("favicon")  # which Chromium asks for by itself
    one.come_to(studio.url)
    assert one.page.url.startswith(f"{studio.url}login")
    assert one.page.locator("input[type=password]").is_visible()
    assert "password" in studio.log.lower()  # made up, and told where the owner sees it
