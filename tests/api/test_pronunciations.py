"""The list of pronunciations is read and replaced over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient

from support.api_helpers import refused


def test_the_list_is_replaced_and_wrong_ones_are_refused(client: TestClient) -> None:
    assert client.get("/api/pronunciations").json() == {"words": {}}
    words = {"Quinoa": "keen wah", "gif": "{JH IH1 F}"}
    answer = client.put("/api/pronunciations", json={"words": words})
    assert answer.json() == {"words": {"quinoa": "keen wah", "gif": "{JH IH1 F}"}}
    for wrong in ({"gif": ""}, {"gif": "{JH XX}"}, {"a=b": "c"}, {"a\nb = c": "d"}):
        refused(client.put("/api/pronunciations", json={"words": wrong}), 400)
    assert set(client.get("/api/pronunciations").json()["words"]) == {"quinoa", "gif"}
