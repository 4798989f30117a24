"""Whatever JSON comes as a request, the answer is a sentence, and never a fault of the server."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.app.studio import Studio

VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20) | st.sampled_from(["alice", "../x", "\0", "9" * 400, 10**30, -1])
)  # fmt: skip
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ROUTES = {
    ("POST", "/api/jobs/speak"): ("text", "voice", "bundle", "options", "delivery", "like"),
    ("POST", "/v1/audio/speech"): ("input", "voice", "model", "speed", "response_format"),
    ("PATCH", "/api/settings"): ("volume", "voice", "options", "threads", "unset"),
    ("PUT", "/api/voices/alice/consent"): ("basis", "speaker", "stated_by", "note"),
    ("PATCH", "/api/voices/nobody"): ("name",),
    ("POST", "/api/history/export"): ("refs",),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_body_is_answered_in_words(
    client: TestClient, studio: Studio, method: str, path: str, data: Any
) -> None:
    names = st.sampled_from(ROUTES[method, path])
    body = data.draw(JSON | st.dictionaries(names, JSON, max_size=4))
    answer = client.request(method, path, json=body)
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"].startswith("application/json")
    for job in studio.jobs(limit=500):
        studio.cancel(job.id)
