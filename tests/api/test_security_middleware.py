"""Who may ask, from where, and how much: refused before any route is reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from api.security_middleware import SECURITY_HEADERS, RequestLimits, is_same_origin
from support.api_helpers import Serve, refused


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:7860", "127.0.0.1:80", "[::1]:1", "LOCALHOST", "a.localhost"]
)
def test_this_machine_is_known_by_its_names(client: TestClient, host: str) -> None:
    assert client.get("/api/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.com", "localhost.evil.com", "evil.com:7860", "10.0.0.1", "0.0.0.0", "", "a b"),
        *("localhost@evil.com", "127.0.0.1.nip.io", "[::2]", "localhost:99999999", "2130706433"),
    ],
)
def test_a_name_that_was_bent_to_this_machine_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/health", headers={"host": host})
    assert "Host not allowed" in refused(answer, 400)


def test_on_a_network_any_address_is_known_but_no_foreign_name() -> None:
    rules = RequestLimits(allowed_hosts={"localhost", "studio.local"}, allow_any_ip=True)
    assert rules.is_allowed_host("192.168.1.7:7860") and rules.is_allowed_host("[fe80::1]:80")
    assert rules.is_allowed_host("Studio.local") and not rules.is_allowed_host("evil.com")


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.com", "https://localhost:7", "http://localhost:1234", "null", "file://", ""),
        *("http://localhost.evil.com", "http://evil.com#localhost", "http://user@localhost"),
        *("//localhost", "chrome-extension://localhost", "http://127.0.0.1"),
    ],
)
def test_another_page_may_neither_act_nor_listen(client: TestClient, origin: str) -> None:
    told = "other web pages"
    for method in ("POST", "DELETE", "GET", "PUT", "PATCH", "OPTIONS"):
        answer = client.request(method, "/api/jobs", headers={"origin": origin})
        assert told in refused(answer, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_our_own_page_may_act(client: TestClient) -> None:
    answer = client.post("/api/jobs/nothing/resume", headers={"origin": "http://localhost"})
    assert answer.status_code == 404
    assert is_same_origin("https://studio.local", "studio.local:443")
    assert not is_same_origin("http://studio.local", "studio.local:443")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_hides_the_origin_still_tells_the_site(
    client: TestClient, site: str
) -> None:
    answer = client.post("/api/jobs/speak", headers={"sec-fetch-site": site}, json={})
    assert "other web pages" in refused(answer, 403)
    assert client.get("/api/jobs", headers={"sec-fetch-site": site}).status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "http://evil.com"}, {"host": "evil.com"}])
def test_a_foreign_websocket_is_closed(client: TestClient, headers: dict[str, str]) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("/gradio_api/queue/join", headers=headers),
    ):
        pass
    assert closed.value.code == 1008


def test_a_body_that_says_it_is_too_large_is_not_read(serve: Serve) -> None:
    client = serve(rules=RequestLimits(max_body_bytes=1000, max_upload_bytes=5000))
    answer = client.post("/api/jobs/speak", content=b"x" * 1001)
    assert "too large" in refused(answer, 413) and answer.headers["connection"] == "close"
    upload = client.post("/api/voices/new/clips", files={"files": ("a.wav", b"x" * 6000)})
    assert "too large" in refused(upload, 413)
    fits = client.post("/api/voices/new/clips", files={"files": ("a.txt", b"x" * 2000)})
    assert fits.status_code == 400


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
def test_a_length_that_is_none_is_refused(client: TestClient, length: str) -> None:
    answer = client.post("/api/jobs/speak", content=b"{}", headers={"content-length": length})
    assert answer.status_code in (400, 413)


def test_a_body_that_does_not_tell_its_length_is_cut_off(serve: Serve) -> None:
    client = serve(rules=RequestLimits(max_body_bytes=1000))
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(100):
            sent.append(number)
            yield b"x" * 100

    answer = client.post(
        "/api/jobs/speak", content=endless(), headers={"content-type": "application/json"}
    )
    assert "too large" in refused(answer, 413)


def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/api/health", "/docs", "/nowhere", "/api/nowhere"):
        headers = client.get(path, headers={"accept": "text/html"}).headers
        assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    policy = SECURITY_HEADERS["content-security-policy"]
    assert "http:" not in policy and "https:" not in policy and "*" not in policy
    assert "frame-ancestors 'self'" in policy
