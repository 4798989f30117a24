"""The speech endpoints of OpenAI, so that programs that speak through them speak through this."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api.errors import BAD, MISSING, Refused
from api.streaming import Spoken, respond
from api.views import Served
from studio.errors import StudioError
from studio.finetunes import AUTO
from studio.layout import shown
from studio.plan import plan_lines
from studio.requests import Wish, request_of
from studio.sound_stream import RATE, STREAMED, check_format
from studio.studio import Studio
from studio.voices import RANDOM, check_voices, list_voices
from studio.weights import BundleSummary, list_bundles

router = APIRouter(prefix="/v1", tags=["OpenAI"])
THEIR_MODELS = frozenset({"", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"})
LISTED = 20  # voices named in a refusal
OWNER = "testudo"
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "wav": "audio/wav",
        "mp3": "audio/mpeg",
        "opus": "audio/ogg; codecs=opus",
        "flac": "audio/flac",
        "aac": "audio/aac",
        "pcm": f"audio/L16; rate={RATE}; channels=1",
    }
)


class VoiceId(BaseModel):
    """A voice by its id, as newer clients name it."""

    id: str


class SpeechBody(BaseModel):
    """OpenAI's request. Fields that are not listed here are ignored, as their clients expect.

    model: a bundle of weights, auto, or one of OpenAI's names for the one in the settings.
    """

    model_config = ConfigDict(extra="ignore")

    input: str
    model: str | None = ""
    voice: str | VoiceId | None = None
    response_format: str | None = Field(default=None, description=", ".join(STREAMED))
    speed: float | None = Field(default=None, description="only 1, the voice's own")
    stream_format: Literal["audio", "sse"] | None = None


class ModelView(BaseModel):
    """A bundle as OpenAI's clients list it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = OWNER


class ModelList(BaseModel):
    """What there is to speak with."""

    object: Literal["list"] = "list"
    data: list[ModelView]


class Named(BaseModel):
    """One thing to choose, as Open WebUI lists it."""

    id: str
    name: str


class SpeechVoices(BaseModel):
    """The voices there are."""

    voices: list[Named]


class AudioModelList(BaseModel):
    """The bundles there are, as Open WebUI lists them."""

    models: list[Named]


SOUND: dict[int | str, dict[str, Any]] = {  # Any: OpenAPI is plain values
    200: {"description": "the sound", "content": {kind: {} for kind in TYPES.values()}}
}


@router.post("/audio/speech", response_class=Response, responses=SOUND)
async def speech(body: SpeechBody, request: Request, studio: Served) -> Response:
    """Speak a text; of several lines, each is sent as soon as it is spoken.

    Whoever goes away stops the job. Clips are kept in the results like any other.
    """
    spoken = await run_in_threadpool(_hand_in, body, studio)
    return await respond(spoken, request, studio)


@router.get("/audio/voices")
def voices(studio: Served) -> SpeechVoices:
    """List the voices."""
    names = [voice.name for voice in list_voices(studio.layout)]
    return SpeechVoices(voices=[Named(id=name, name=name) for name in [*names, RANDOM]])


@router.get("/audio/models")
def audio_models(studio: Served) -> AudioModelList:
    """List the bundles as Open WebUI asks for them."""
    found = [Named(id=bundle.name, name=bundle.name) for bundle in _speaking(studio)]
    return AudioModelList(models=found)


@router.get("/models")
def models(studio: Served) -> ModelList:
    """List the bundles."""
    return ModelList(data=[_view(bundle) for bundle in _speaking(studio)])


@router.get("/models/{id:path}")
def model(id: str, studio: Served) -> ModelView:
    """Return one bundle."""
    return _view(_known_model(studio, id))


def _hand_in(body: SpeechBody, studio: Studio) -> Spoken:
    format = (body.response_format or "mp3").lower()
    check_format(format)
    if body.speed not in (None, 1):
        raise Refused(
            BAD,
            f"speed is {body.speed:g}; voices speak at their own pace here. Leave it at 1 and let "
            "the player change the speed.",
            "bad_request",
        )
    stated = {}
    if (body.model or "") not in THEIR_MODELS:
        own = str(body.model)
        stated["bundle"] = own if own == AUTO else _known_model(studio, own).name
    wish = Wish(
        text=body.input,
        voice=_known_voice(studio, body.voice),
        delivery={"format": "wav", "output_rate": RATE},
        stated=stated,
    )
    request = request_of(studio.settings, wish, studio.layout)
    plan_lines(request, studio.layout)
    job = studio.submit(request)
    return Spoken(
        job=job.id,
        format=format,
        media_type=TYPES[format],
        delivery=request.delivery,
        as_events=body.stream_format == "sse",
    )


def _known_voice(studio: Studio, voice: str | VoiceId | None) -> str | None:
    name = voice.id if isinstance(voice, VoiceId) else voice
    if not name:
        return None
    try:
        check_voices(studio.layout, name)
    except StudioError as refusal:
        names = [known.name for known in list_voices(studio.layout)]
        listed = ", ".join([*names[:LISTED], *["…"] * (len(names) > LISTED), RANDOM])
        message = f"There is no voice {shown(name)} here. There are: {listed}."
        raise Refused(BAD, message, "missing_voice") from refusal
    return name


def _known_model(studio: Studio, name: str) -> BundleSummary:
    bundles = _speaking(studio)
    found = next((bundle for bundle in bundles if bundle.name == name), None)
    if found is None:
        listed = ", ".join(bundle.name for bundle in bundles) or "none"
        raise Refused(
            MISSING,
            f"There is no model {shown(name)} here. There are: {listed}.",
            "model_not_found",
        )
    return found


def _speaking(studio: Studio) -> list[BundleSummary]:
    return [bundle for bundle in list_bundles(studio.layout) if bundle.speaks]


def _view(bundle: BundleSummary) -> ModelView:
    return ModelView(id=bundle.name, created=int(bundle.path.stat().st_mtime))
