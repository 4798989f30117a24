"""What OpenAI's clients, SillyTavern and Open WebUI send, answered as they expect."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from api.routes.openai import CreateSpeechBody, _submit_speech_job
from audio.io import write_clip
from core.errors import AppError
from jobs.models import Job, JobFailure
from studio.app.studio import Studio
from studio.schemas.speech import SpeechRequest
from support.api_helpers import refused, tone, until
from support.inline_worker import InlineStudio

SPEECH = "/v1/audio/speech"
HEADS = {
    "wav": b"RIFF",
    "mp3": b"",
    "opus": b"OggS",
    "flac": b"fLaC",
    "aac": b"\xff\xf1",
    "pcm": b"",
}


class ScriptedStudio(InlineStudio):
    """A studio whose one job does what the test says, line by line."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        super().__init__(studio.layout, studio.settings)
        self._now = Job(id="job", task="speak", request={}, title="", state="waiting", created=0.0)
        self.folder = folder
        self.submitted, self.cancelled = threading.Event(), threading.Event()

    def submit(self, request: Any, *, title: str = "", origin: str = "") -> Job:
        self.submitted.set()
        return self._now

    def job(self, id: str) -> Job:
        return self._now

    def cancel(self, id: str) -> Job:
        self.cancelled.set()
        self._now = replace(self._now, state="stopped")
        return self._now

    def close(self) -> None:
        """Nothing was opened."""

    def say(self, seconds: float) -> None:
        """Speak one more line."""
        path = self.folder / f"{len(self._now.takes)}.wav"
        write_clip(path, tone(seconds))
        takes = (*self._now.takes, {"path": str(path), "text": "x"})
        self._now = replace(self._now, state="running", takes=takes)

    def end(self, **how: Any) -> None:
        """Be done, or whatever is said."""
        self._now = replace(self._now, **{"state": "done", **how})


@pytest.fixture
def scripted(studio: Studio, tmp_path: Path) -> ScriptedStudio:
    return ScriptedStudio(studio, tmp_path)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "tts-1", "voice": "alice", "input": "Good evening.", **more}


def seconds_of(data: bytes) -> float:
    """How long it sounds; libsndfile needs a length that a stream of mp3 or flac does not tell."""
    if data[:4] in (b"RIFF", b"OggS"):
        samples, rate = soundfile.read(io.BytesIO(data))
        return len(samples) / float(rate)
    program = shutil.which("ffmpeg") or pytest.skip("ffmpeg is not installed")
    command = [program, "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ar", "24000", "pipe:1"]
    return len(subprocess.run(command, input=data, capture_output=True).stdout) / 48_000


@pytest.mark.parametrize("format", list(HEADS))
def test_every_format_is_answered(client: TestClient, format: str) -> None:
    answer = client.post(SPEECH, json=body(response_format=format))
    if format == "aac" and answer.status_code == 400:
        assert "needs the program ffmpeg" in refused(answer, 400)
        return
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(HEADS[format]) and int(answer.headers["content-length"])
    if format == "pcm":
        assert len(answer.content) == 0.4 * 24_000 * 2
    elif format != "aac":
        assert seconds_of(answer.content) == pytest.approx(0.4, abs=0.06)


def test_without_ffmpeg_aac_is_refused_with_what_else_there_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    told = refused(client.post(SPEECH, json=body(response_format="aac")), 400)
    assert "choose mp3, opus, flac, wav or pcm" in told
    assert client.get("/api/jobs").json() == {"jobs": []}


def test_what_sillytavern_sends_is_spoken(client: TestClient) -> None:
    sent = {
        "input": "Hello there.",
        "response_format": "mp3",
        "voice": "bob",
        "speed": 1,
        "model": "tts-1",
    }
    answer = client.post(SPEECH, json=sent, headers={"authorization": "Bearer "})
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/mpeg"


def test_what_open_webui_sends_is_spoken_and_its_lists_are_answered(client: TestClient) -> None:
    voices = client.get("/v1/audio/voices").json()["voices"]
    assert {"id": "alice", "name": "alice"} in voices
    models = client.get("/v1/audio/models").json()["models"]
    assert [model["id"] for model in models] == ["starter"]
    sent = {"model": models[0]["id"], "voice": voices[0]["id"], "input": "Hello."}
    answer = client.post(SPEECH, json={**sent, "user": {"name": "x"}, "stream": False})
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/mpeg"


def test_models_are_listed_as_openai_does(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert listed["data"][0] == client.get("/v1/models/starter").json()
    assert listed["data"][0]["object"] == "model" and listed["data"][0]["owned_by"] == "testudo"
    refused(client.get("/v1/models/gpt-4"), 404)


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        ({"voice": "alloy"}, 400, "There is no voice 'alloy' here. There are: alice, bob, random."),
        ({"voice": {"id": "alloy"}}, 400, "There is no voice 'alloy'"),
        ({"voice": "../alice"}, 400, "There is no voice"),
        ({"voice": None}, 400, "No voice was given"),
        ({"voice": 7}, 422, "voice"),
        ({"model": "gpt-5"}, 404, "There is no model 'gpt-5' here. There are: starter."),
        ({"model": "../starter"}, 404, "There is no model"),
        ({"input": ""}, 400, "The text is empty"),
        ({"input": None}, 422, "input"),
        ({"input": "x" * 400_001}, 400, "at most 400,000"),
        ({"response_format": "exe"}, 400, "Choose one of: wav, mp3"),
        ({"stream_format": "x"}, 422, "stream_format"),
        ({"speed": 2}, 400, "speed 2 is not supported"),
        ({"speed": "fast"}, 422, "speed"),
    ],
)
def test_what_cannot_be_spoken_is_refused_as_openai_does(
    client: TestClient, more: dict[str, Any], status: int, told: str
) -> None:
    answer = client.post(SPEECH, json=body(**more))
    assert told in refused(answer, status)
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert client.get("/api/jobs").json() == {"jobs": []}


def test_a_custom_voice_and_a_blend_are_spoken(client: TestClient) -> None:
    for voice in ({"id": "bob"}, "alice:0.3+bob:0.7", "random"):
        answer = client.post(SPEECH, json=body(voice=voice, response_format="pcm"))
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "text",
    ["Hi :] there.", "{note: x} Hi.", "Hi.\n[laughs]\nYou.", "Hi.\n...\n\n\nYou.", "Hi [you."],
)
def test_odd_text_is_spoken(client: TestClient, text: str) -> None:
    answer = client.post(SPEECH, json=body(input=text))
    assert answer.status_code == 200 and answer.content
    job = client.post("/api/jobs/speak", json={"text": text, "voice": "alice"})
    assert job.status_code == 202
    (options,) = [job.json()["request"]["delivery"]]
    assert options["pause_s"] == 0.3 and options["pause_paragraph_s"] == 0.7


def test_several_lines_are_one_stream_with_their_pauses(client: TestClient) -> None:
    text = "One two.\n" * 4
    studio: Studio = client.app.state.studio  # type: ignore[attr-defined]
    studio.settings = replace(studio.settings, delivery={"delimiter": "\\n", "pause_s": 0.5})
    for format in ("wav", "mp3", "opus", "flac"):
        answer = client.post(SPEECH, json=body(input=text, response_format=format))
        assert seconds_of(answer.content) == pytest.approx(4 * 0.4 + 3 * 0.5, abs=0.1), format


# what happens while it is spoken: the server is driven by hand, since the client of the tests
# waits for the whole answer


class Caller:
    """Whoever asks for speech, sees each part as it comes, and may go away."""

    def __init__(self, app: Any, sent: dict[str, Any]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()
        self._request: list[dict[str, Any]] = [
            {"type": "http.request", "body": json.dumps(sent).encode(), "more_body": False}
        ]
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": SPEECH,
            "raw_path": SPEECH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }
        self.task = asyncio.create_task(app(self.scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._request:
            return self._request.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.messages.append(dict(message))
        self.heard.set()

    @property
    def sound(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    async def hears(self, more_than: int) -> None:
        """Wait for more bytes than these."""
        async with asyncio.timeout(10):
            while len(self.sound) <= more_than:
                self.heard.clear()
                await self.heard.wait()


def play(scripted: ScriptedStudio, scene: Callable[[Caller], Any], **more: Any) -> Caller:
    """Serve the scripted studio to one caller while the scene is played."""
    from api.app import AppConfig, create_app

    async def run() -> Caller:
        app = create_app(scripted, AppConfig())
        caller = Caller(app, body(**{"response_format": "pcm", **more}))
        await scene(caller)
        async with asyncio.timeout(10):
            await caller.task
        return caller

    return asyncio.run(run())


def test_each_line_is_sent_before_the_next_is_spoken(scripted: ScriptedStudio) -> None:
    sizes: list[int] = []

    async def scene(caller: Caller) -> None:
        for _ in range(3):
            scripted.say(1.0)
            await caller.hears(sizes[-1] if sizes else 0)
            sizes.append(len(caller.sound))
        scripted.end()

    caller = play(scripted, scene)
    second, pause = 24_000 * 2, int(0.3 * 24_000) * 2
    assert sizes == [second, 2 * second + pause, 3 * second + 2 * pause]
    assert caller.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert not scripted.cancelled.is_set()


@pytest.mark.parametrize("format", ["wav", "mp3", "opus", "flac"])
def test_a_stream_can_be_heard_before_it_ends(scripted: ScriptedStudio, format: str) -> None:
    async def scene(caller: Caller) -> None:
        scripted.say(2.0)
        await caller.hears(500)
        assert not caller.task.done()
        scripted.say(2.0)
        scripted.end()

    sound = play(scripted, scene, response_format=format).sound
    assert seconds_of(sound) == pytest.approx(4.3, abs=0.1)


def test_whoever_goes_away_stops_the_job(scripted: ScriptedStudio) -> None:
    async def scene(caller: Caller) -> None:
        scripted.say(1.0)
        await caller.hears(0)
        caller.gone.set()

    play(scripted, scene)
    assert scripted.cancelled.is_set()


def test_whoever_goes_away_before_the_first_line_stops_the_job(scripted: ScriptedStudio) -> None:
    async def scene(caller: Caller) -> None:
        await asyncio.sleep(0.2)
        caller.gone.set()

    play(scripted, scene)
    assert scripted.cancelled.is_set()


def test_a_request_that_is_given_up_stops_the_job(scripted: ScriptedStudio) -> None:
    async def scene(caller: Caller) -> None:
        await asyncio.to_thread(scripted.submitted.wait, 10)
        await asyncio.sleep(0.3)
        caller.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller.task
        caller.task = asyncio.create_task(asyncio.sleep(0))

    play(scripted, scene)
    assert scripted.cancelled.is_set()


@pytest.mark.parametrize(
    ("cause", "status"), [("out_of_memory", 500), ("no_disk", 507), ("bad_request", 400)]
)
def test_a_job_that_fails_first_has_its_status(
    scripted: ScriptedStudio, cause: str, status: int
) -> None:
    async def scene(caller: Caller) -> None:
        failure = JobFailure(cause=cause, message="It went wrong.", details="Traceback")
        scripted.end(state="failed", failure=failure)

    caller = play(scripted, scene)
    error = json.loads(caller.sound)["error"]
    assert caller.status == status
    assert error["message"] == "It went wrong." and error["cause"] == cause


def test_a_job_that_is_stopped_elsewhere_is_a_conflict(scripted: ScriptedStudio) -> None:
    async def scene(caller: Caller) -> None:
        scripted.end(state="stopped")

    assert play(scripted, scene).status == 409


def test_a_failure_on_the_way_breaks_the_answer_off(scripted: ScriptedStudio) -> None:
    async def scene(caller: Caller) -> None:
        scripted.say(1.0)
        await caller.hears(0)
        scripted.end(state="failed", failure=JobFailure(cause="crashed", message="It went wrong."))
        with pytest.raises(Exception, match="already started"):
            await caller.task
        caller.task = asyncio.create_task(asyncio.sleep(0))

    caller = play(scripted, scene)
    assert caller.status == 200 and caller.messages[-1]["more_body"]


def test_sound_comes_as_events_where_they_are_wanted(scripted: ScriptedStudio) -> None:
    async def scene(caller: Caller) -> None:
        scripted.say(1.0)
        await caller.hears(0)
        scripted.end()

    sent = play(scripted, scene, stream_format="sse").sound.decode()
    events = [json.loads(part.removeprefix("data: ")) for part in sent.split("\n\n") if part]
    assert [event["type"] for event in events][-1] == "speech.audio.done"
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert len(np.frombuffer(sound, "<i2")) == 24_000


@pytest.fixture
def address(client: TestClient) -> Iterator[str]:
    """A real port, for a client that opens its own connections."""
    import uvicorn

    config = uvicorn.Config(client.app, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


def test_the_official_client_speaks(address: str) -> None:
    openai = pytest.importorskip("openai", reason="the official client is not installed")
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == ["starter"]
    answer = client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alice", input="Hello there.", instructions="calmly"
    )
    assert answer.response.headers["content-type"] == "audio/mpeg" and len(answer.content) > 500
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="bob", input="Hello there.", response_format="wav"
    ) as streamed:
        assert seconds_of(b"".join(streamed.iter_bytes())) == pytest.approx(0.4, abs=0.01)
    with pytest.raises(openai.BadRequestError, match="There is no voice 'alloy'"):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")
    with pytest.raises(openai.NotFoundError, match="There is no model"):
        client.audio.speech.create(model="gpt-9", voice="alice", input="Hi.")


def test_a_failure_tells_no_path_of_this_machine(scripted: ScriptedStudio) -> None:
    root = scripted.layout.root

    async def scene(caller: Caller) -> None:
        message = f"Cannot write {root}/results/a.wav: the disk is full."
        scripted.end(state="failed", failure=JobFailure(cause="no_disk", message=message))

    told = play(scripted, scene).sound.decode()
    assert str(root) not in told and "Cannot write results/a.wav: the disk is full." in told


def test_the_speed_is_an_option_of_engines_that_have_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ("quick.options:QuickOptions", "support.fake_engine:FakeEngine")
    monkeypatch.setattr("engines.registry.ENGINES", {"tortoise": entry, "quick": entry})
    studio = Studio.open(root, given={"engine": "quick"})
    asked: list[SpeechRequest] = []

    def submit(request: SpeechRequest, **_: Any) -> Job:
        asked.append(request)
        return Job(id="1", task="speak", request={}, title="", state="waiting", created=0.0)

    monkeypatch.setattr(studio, "submit", submit)
    _submit_speech_job(CreateSpeechBody(input="Hi.", voice="alice", speed=1.5), studio)
    assert asked[0].options["speed"] == 1.5
    with pytest.raises(AppError, match="speed is 3"):
        _submit_speech_job(CreateSpeechBody(input="Hi.", voice="alice", speed=3), studio)
