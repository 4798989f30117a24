"""Requests of other web pages, of guessers and of scanners: refused, and nothing is fetched."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from campaigns.figures import Figures
from campaigns.processes import call
from campaigns.served import open_client, write_served_studio

HOSTS = (
    *("evil.com", "evil.com:80", "localhost.evil.com", "127.0.0.1.nip.io", "10.0.0.1", "0.0.0.0"),
    *("", "a b", "localhost@evil.com", "[::2]", "[::1", "localhost:99999999", "2130706433"),
    *("0x7f.1", "017700000001", "169.254.169.254", "localhost,evil.com", "localhost/evil.com"),
    *("evil.com#localhost", "metadata.google.internal", "xn--lcalhost-54a", "*"),
)
ORIGINS = (
    *("http://evil.com", "https://evil.com", "null", "file://", "http://localhost.evil.com"),
    *(
        "https://localhost:7",
        "http://localhost:1",
        "http://localhost:99999",
        "chrome-extension://x",
    ),
    *("http://user@localhost", "http://evil.com#localhost", "http://evil.com?localhost", "//x"),
    *("http://127.0.0.1", "http://[::1]", "http://0.0.0.0", "ftp://localhost", "data:text/html,x"),
    *("http://LOCALHOST.", "javascript:1", "moz-extension://x", "http://localhost@evil.com"),
)
STEPS = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..%255c", "%252e%252e%252f", "..;/",
         "....//", "%c0%ae%c0%ae/")  # fmt: skip
TARGETS = ("etc/passwd", "settings.yaml", "state/journal.sqlite")
PLACES = ("/api/files/results/", "/api/files/voices/", "/", "/static/")
URLS = (
    *("http://127.0.0.1:1/x", "http://169.254.169.254/latest", "http://[::1]/", "https://evil.com"),
    *("file:///etc/passwd", "ftp://evil.com/x", "gopher://evil.com:1/_x", "//evil.com/x"),
    *("http://0x7f000001/", "http://2130706433/", "http://localhost:22", "dict://x:1/", "ldap://x"),
    *("data:audio/wav;base64,UklGRg==", "concat:/etc/passwd", "subfile,,start,0,end,9,,:/etc/x"),
    *("http://evil.com@127.0.0.1/", "http://127.1/", "https://huggingface.co@evil.com/x/y"),
    *("\\\\evil.com\\share\\x.wav", "smb://evil.com/x", "jar:http://evil.com!/"),
)
WRITES = ("/api/jobs/speak", "/v1/audio/speech", "/api/voices/alice/clips", "/api/jobs/restore")


def send_all(folder: Path) -> Figures:
    """Send every request to a server in a process of its own."""
    return Figures(requests=call(_send_all, folder))


def _send_all(folder: Path) -> int:
    root = write_served_studio(folder / "root")
    (root / "settings.yaml").write_text("{}\n")
    before = sorted(str(path) for path in root.rglob("*"))
    connections: list[Any] = []
    with open_client(root) as (client, studio):
        _record_connections(connections)
        count = 0
        for method, path, expected, options in _requests():
            answer = client.request(method, path, **options)
            assert answer.status_code in expected, (method, path, options, answer.status_code)
            assert b"root:" not in answer.content and b"SQLite" not in answer.content, path
            assert "Traceback" not in answer.text, path
            assert "access-control-allow-origin" not in answer.headers, path
            for header in ("x-content-type-options", "referrer-policy", "x-frame-options"):
                assert header in answer.headers or answer.status_code == 400, (path, header)
            count += 1
        assert studio.jobs() == [], "a foreign request was accepted"
    assert connections == [], f"it connected to {connections}"
    after = sorted(str(path) for path in root.rglob("*") if "state" not in path.parts)
    assert after == before
    return count


def _requests() -> Iterator[tuple[str, str, tuple[int, ...], dict[str, Any]]]:
    refused = (*range(400, 500), 503)  # 503: it is for the page, which is not drawn here
    for host in HOSTS:
        yield "GET", "/api/jobs", (400,), {"headers": {"host": host}}
    for origin in ORIGINS:
        for path in WRITES:
            yield "POST", path, (403,), {"headers": {"origin": origin}, "json": {"text": "Hi."}}
    for site in ("cross-site", "same-site"):
        for path in WRITES:
            yield "POST", path, (403,), {"headers": {"sec-fetch-site": site}, "json": {}}
    for place in PLACES:
        for step in STEPS:
            for target in TARGETS:
                yield "GET", f"{place}{step * 6}{target}", refused, {}
    for url in URLS:
        for body in ({"text": "Hi.", "voice": url}, {"text": "Hi.", "bundle": url}):
            yield "POST", "/api/jobs/speak", refused, {"json": body}
        yield "GET", f"/api/files/voices/{url}", refused, {}
    for value in (10**30, -1, "1e3", "NaN", "[]"):
        yield "GET", "/api/history", refused, {"params": {"start": value}}
        yield "GET", "/api/jobs", refused, {"params": {"limit": value}}


def _record_connections(found: list[Any]) -> None:
    """Note every connection that this process opens to an address."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            found.append(address)
        real(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign]
