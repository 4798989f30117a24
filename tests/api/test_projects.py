"""Projects over HTTP: listed, renamed, exported and imported."""

from __future__ import annotations

from fastapi.testclient import TestClient

from studio.app.studio import Studio
from support.api_helpers import done, refused


def test_a_project_is_listed_renamed_exported_and_imported(
    client: TestClient, studio: Studio
) -> None:
    asked = {"text": "One.\nTwo.", "voice": "alice", "delivery": {"delimiter": "\\n"}}
    job = client.post("/api/jobs/speak", json=asked)
    assert job.status_code == 202, job.text
    done(studio, job.json()["id"])
    (project,) = client.get("/api/projects").json()["projects"]
    assert project["lines"] == 2 and project["name"] == "One. Two."
    named = client.patch(f"/api/projects/{project['ref']}", json={"name": "Book"})
    assert named.json()["name"] == "Book"
    exported = client.post(f"/api/projects/export/{project['ref']}").json()
    content = client.get(exported["url"])
    assert content.status_code == 200
    added = client.post("/api/projects/import", files={"file": ("x.zip", content.content)})
    assert added.status_code == 201, added.text
    assert added.json()["name"] == "Book" and added.json()["ref"] != project["ref"]
    assert client.get("/api/projects?search=nothing").json()["projects"] == []
    refused(client.patch("/api/projects/alice/none.wav", json={"name": "x"}), 404)
    refused(client.post("/api/projects/import", files={"file": ("x.zip", b"no zip")}), 400)
