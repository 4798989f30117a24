"""The report of a dataset and the recording of a gold project over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient

from studio.app.studio import Studio
from support.api_helpers import refused
from support.gold_project import write_gold_project


def test_the_report_and_the_recording_of_a_project_are_served(
    client: TestClient, studio: Studio
) -> None:
    folder = write_gold_project(studio.layout)
    refused(client.get("/api/datasets/gold/talk/report"), 404)
    (folder / "report.html").write_text("<html>report</html>", "utf-8")
    for name in ("gold/talk", "talk"):
        page = client.get(f"/api/datasets/{name}/report")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    recording = client.get("/api/files/training/gold/talk/audio/recording.ogg")
    assert recording.status_code == 200 and recording.headers["content-type"] == "audio/ogg"
    refused(client.get("/api/files/training/gold/talk/source/recording.wav"), 404)
    refused(client.get("/api/files/training/gold/talk/audio/..%2fproject.json"), 404)
    refused(client.get("/api/datasets/gold/..%2f..%2fx/report"), 404)
    refused(client.get("/api/datasets/nobody/report"), 404)
