"""A model hub on this machine: small files in the published layout, and failures on demand.

    with serving({"jbetker/tortoise-tts-v2/.models/cvvp.pth": content}) as hub:
        hub.use(monkeypatch)     # huggingface_hub now asks here

Like the real one it answers HEAD with ETag, X-Repo-Commit and the size, and GET with ranges.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server serves and what it was asked for.

    cuts: path -> how many bytes of each answer arrive before the connection breaks, one per break;
    lies: path -> another content under the checksum of the right one.
    """

    files: Mapping[str, bytes]
    cuts: dict[str, list[int]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, int]] = field(default_factory=list)  # method, path, first byte
    tokens: dict[str, set[str]] = field(default_factory=dict)  # host -> authorizations it was shown
    ranges: bool = True
    elsewhere: bool = False  # large files lie on another host, as the real hub's do
    address: str = ""

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make huggingface_hub of this process ask here and read in small pieces."""
        template = self.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", self.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 256)
        monkeypatch.setattr("studio.model_store.download.GITHUB_RAW_URL", f"{self.address}/source")

    def fetched(self, name: str) -> list[int]:
        """From which bytes on a file was fetched, in order."""
        return [first for method, path, first in self.asked if method == "GET" and name in path]


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Serve `repository/path` -> content on a free port of 127.0.0.1."""
    hub = Hub(files=files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            path = re.sub(r"/resolve/[^/]+/", "/", self.path).lstrip("/")
            wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(wanted[1]) if wanted and hub.ranges else 0
            host = self.headers.get("Host", "").split(":")[0]
            hub.asked.append((self.command, path, first))
            hub.tokens.setdefault(host, set()).add(self.headers.get("Authorization", ""))
            if hub.elsewhere and host == "127.0.0.1" and path in hub.files:
                return self.redirect(path)
            if path not in hub.files:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send(path, first, with_body)

        def redirect(self, path: str) -> None:
            """Send the caller to this server's other name, telling what is there."""
            content = hub.files[path]
            self.send_response(302)
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Location", f"{hub.address.replace('127.0.0.1', 'localhost')}/{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send(self, path: str, first: int, with_body: bool) -> None:
            content = hub.files[path]
            total = len(content)
            self.send_response(206 if first else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(total - first))
            if first:
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            self.end_headers()
            if not with_body:
                return
            body = hub.lies.get(path, content)[first:]
            cuts = hub.cuts.get(path)
            if cuts:
                self.wfile.write(body[: cuts.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    return Handler
