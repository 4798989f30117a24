"""A request without options is the same at the page, the command line and both HTTP endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cli.main import main
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.synthesis.request_builder import build_request
from support.api_helpers import done
from webui.generate.form import build_request_input, get_initial_values, get_option_fields

TEXT = "Good evening."
SETTINGS = "volume: 0.5\npreset: fast\nthreads: 1\noptions:\n  temperature: 0.4\n"


def request_of_page(studio: Studio) -> dict[str, Any]:
    values = {**get_initial_values(studio), "text": TEXT, "voice": "alice"}
    stated = build_request_input(values, get_option_fields(studio.settings.engine))
    plain: dict[str, Any] = to_dict(build_request(studio.settings, stated, studio.layout))
    return plain


def request_of_command_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    requests: list[Any] = []

    class Done(Exception):
        pass

    def speak(studio: Studio, request: Any, report: Any) -> None:
        requests.append(request)
        raise Done

    monkeypatch.setenv("TESTUDO_ROOT", str(root))
    with monkeypatch.context() as patch:
        patch.setattr(Studio, "speak", speak)
        main(["speak", TEXT, "--voice", "alice"])
    plain: dict[str, Any] = to_dict(requests[0])
    return plain


def last_request(studio: Studio) -> dict[str, Any]:
    job = studio.jobs(limit=1)[0]
    return dict(done(studio, job.id).request)


@pytest.mark.parametrize("settings", ["", SETTINGS])
def test_the_defaults_are_the_same_everywhere(
    root: Path, client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    (root / "settings.yaml").write_text(settings)
    studio.reload_settings()
    found = {
        "page": request_of_page(studio),
        "command line": request_of_command_line(root, monkeypatch),
    }
    client.post("/api/jobs/speak", json={"text": TEXT, "voice": "alice"})
    found["jobs"] = last_request(studio)
    client.post("/v1/audio/speech", json={"input": TEXT, "voice": "alice"})
    found["openai"] = last_request(studio)
    stream_rate = found["openai"]["delivery"]["output_rate"]
    for request in found.values():
        assert request["options"].pop("seed") >= 0
        del request["out"]  # a job has a file reserved
        request["delivery"] |= {"format": "wav", "output_rate": stream_rate}
    for name, request in found.items():
        assert request == found["jobs"], name


def test_openai_voice_names_stand_for_voices_of_the_settings(
    root: Path, client: TestClient, studio: Studio
) -> None:
    (root / "settings.yaml").write_text("openai_voices: alloy=bob, echo=alice\n")
    studio.reload_settings()
    for sent in ("alloy", {"id": "alloy"}):
        answer = client.post("/v1/audio/speech", json={"input": TEXT, "voice": sent})
        assert answer.status_code == 200 and last_request(studio)["voice"] == "bob"
    listed = client.get("/v1/audio/voices").json()["voices"]
    assert {"id": "echo", "name": "echo"} in listed
    answer = client.post("/v1/audio/speech", json={"input": TEXT, "voice": "nova"})
    assert answer.status_code == 400
