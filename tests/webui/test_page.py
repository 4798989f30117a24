"""The page as a whole: what every visit is sent, and which files it serves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio.queueing import Queue

from core.errors import AppError, InvalidValueError
from studio.app.studio import Studio
from studio.datasets.gold_finetune import GoldFinetuneRequest
from studio.datasets.gold_request import GoldRequest
from studio.datasets.service import Datasets
from studio.sv2tts.requests import ToolboxRequest
from support.inline_worker import InlineStudio
from webui import app


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return InlineStudio.open(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def page(studio: Studio) -> gr.Blocks:
    return app.build_page(studio)


@pytest.fixture(scope="module")
def client(studio: Studio, page: gr.Blocks) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        uploads = studio.layout.state / "page"
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        patch.setattr(app, "build_page", lambda *_: page)
        mounted = app.mount_page(FastAPI(), studio)
        with TestClient(mounted, base_url="http://localhost") as client:
            yield client


def test_a_visit_is_sent_plain_values_only(page: gr.Blocks) -> None:
    """Gradio copies them for each visit; a function among them would drag the whole page along."""
    callables = {
        (component["type"], name)
        for component in page.config["components"]
        for name, value in component["props"].items()
        if callable(value) and component["type"] != "state"
    }
    assert callables == set()


def test_limits_of_numbers_are_told_by_the_program_not_by_gradio(page: gr.Blocks) -> None:
    """Gradio's own check logs a traceback and names no field."""
    numbers = [block for block in page.blocks.values() if isinstance(block, gr.Number)]
    assert numbers
    assert not [one.elem_id for one in numbers if (one.minimum, one.maximum) != (None, None)]


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (lambda: GoldRequest(name="a", speakers=-999_999), "speakers is -999999"),
        (lambda: GoldFinetuneRequest(name="a", model="b", minutes=-999_999), "minutes is -999999"),
        (lambda: ToolboxRequest(clip="a.wav", seed=-999_999), "seed is -999999"),
        (lambda: Datasets.accept_above(Mock(), "a", -9_999.99), "confidence is -999999 %"),
    ],
)
def test_a_number_out_of_range_is_refused_with_its_name(
    refused: Callable[[], object], told: str
) -> None:
    with pytest.raises((AppError, InvalidValueError), match=told):
        refused()


def test_an_idle_page_does_not_keep_the_processor_busy(page: gr.Blocks) -> None:
    assert page._queue.sleep_when_free >= 0.02
    assert "self.sleep_when_free" in inspect.getsource(Queue.start_processing)  # it is heeded


def test_a_dropped_clip_can_be_played_back_and_nothing_else_of_the_state(
    studio: Studio, client: TestClient
) -> None:
    sound = b"RIFF of a clip"
    answer = client.post("/gradio_api/upload", files={"files": ("clip.wav", sound, "audio/wav")})
    (path,) = answer.json()
    assert Path(path).is_relative_to(studio.layout.state)
    assert client.get(f"/gradio_api/file={path}").content == sound
    layout = studio.layout
    private = (layout.jobs_db, layout.history_db, layout.stars, layout.settings_file)
    for file in (*private, layout.exports / "testudo.zip", layout.state / "session.key"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.exists() or file.write_bytes(b"private")
        assert client.get(f"/gradio_api/file={file}").status_code == 403, file


def test_the_page_can_be_installed_with_an_icon_of_its_own(client: TestClient) -> None:
    manifest = client.get("/manifest.json").json()
    assert manifest["name"] == "Testudo" and manifest["display"] == "standalone"
    icon = client.get(manifest["icons"][0]["src"])
    assert icon.status_code == 200 and b"#0f766e" in icon.content


def test_what_plays_clips_without_the_studio_is_served(client: TestClient) -> None:
    worker = client.get("/service-worker.js")
    assert (
        worker.headers["content-type"].startswith("text/javascript") and b"fetch" in worker.content
    )
    shown = client.get("/offline.html", headers={"accept-language": "de"}).text
    assert "nicht erreichbar" in shown and "caches.open" in shown and "{{" not in shown


def test_the_player_is_loaded_from_the_studio_itself(client: TestClient) -> None:
    library = client.get("/wavesurfer/wavesurfer.esm.js")
    assert library.status_code == 200 and b"export" in library.content
    assert b"BSD 3-Clause" in client.get("/wavesurfer/LICENSE").content
