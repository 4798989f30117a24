"""The speech endpoints of the OpenAI API, for programs written for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api.errors import BAD_REQUEST, NOT_FOUND, ApiError
from api.schemas import ORIGIN, StudioDep
from api.speech_stream import SpeechStreamRequest, create_speech_response
from audio.formats import STREAM_FORMATS, STREAM_SAMPLE_RATE
from core.errors import AppError
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.model_store.bundles import ModelSummary, list_models
from studio.model_store.finetunes import AUTO
from studio.schemas.settings import parse_voice_names
from studio.schemas.speech import has_option
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.synthesis.stream_mixer import check_stream_format
from studio.voices.catalog import RANDOM_VOICE, check_voices, list_voices

router = APIRouter(prefix="/v1", tags=["OpenAI"])
OPENAI_MODEL_NAMES = frozenset({"", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"})
MAX_LISTED_VOICES = 20  # in an error message
MODEL_OWNER = "testudo"
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "wav": "audio/wav",
        "mp3": "audio/mpeg",
        "opus": "audio/ogg; codecs=opus",
        "flac": "audio/flac",
        "aac": "audio/aac",
        "pcm": f"audio/L16; rate={STREAM_SAMPLE_RATE}; channels=1",
    }
)


class VoiceId(BaseModel):
    """A voice by its id, as newer clients send it."""

    id: str


class CreateSpeechBody(BaseModel):
    """The request of OpenAI's API; other fields are ignored.

    model: a local model, auto, or one of OpenAI's names for the model in the settings.
    """

    model_config = ConfigDict(extra="ignore")

    input: str
    model: str | None = ""
    voice: str | VoiceId | None = None
    response_format: str | None = Field(default=None, description=", ".join(STREAM_FORMATS))
    speed: float | None = Field(default=None, description="1, or what the engine allows")
    stream_format: Literal["audio", "sse"] | None = None


class OpenAIModel(BaseModel):
    """A model as OpenAI's API describes it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = MODEL_OWNER


class OpenAIModelList(BaseModel):
    """The models."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class NamedItem(BaseModel):
    """A voice or model as Open WebUI lists it."""

    id: str
    name: str


class AudioVoiceList(BaseModel):
    """The voices."""

    voices: list[NamedItem]


class AudioModelList(BaseModel):
    """The models as Open WebUI lists them."""

    models: list[NamedItem]


AUDIO_RESPONSES: dict[int | str, dict[str, Any]] = {  # Any: OpenAPI is plain values
    200: {"description": "audio", "content": {kind: {} for kind in MEDIA_TYPES.values()}}
}


@router.post("/audio/speech", response_class=Response, responses=AUDIO_RESPONSES)
async def create_speech(body: CreateSpeechBody, request: Request, studio: StudioDep) -> Response:
    """Synthesize a text; each of several lines is sent as soon as it is finished.

    Closing the connection cancels the job. The clip is saved in the results.
    """
    spoken = await run_in_threadpool(_submit_speech_job, body, studio)
    return await create_speech_response(spoken, request, studio)


@router.get("/audio/voices")
def read_voices(studio: StudioDep) -> AudioVoiceList:
    """List the voices."""
    names = [voice.name for voice in list_voices(studio.layout)]
    names += [*parse_voice_names(studio.settings.openai_voices), RANDOM_VOICE]
    return AudioVoiceList(voices=[NamedItem(id=name, name=name) for name in dict.fromkeys(names)])


@router.get("/audio/models")
def read_audio_models(studio: StudioDep) -> AudioModelList:
    """List the models for Open WebUI."""
    found = [NamedItem(id=bundle.name, name=bundle.name) for bundle in _list_usable_models(studio)]
    return AudioModelList(models=found)


@router.get("/models")
def read_models(studio: StudioDep) -> OpenAIModelList:
    """List the models."""
    return OpenAIModelList(
        data=[_build_openai_model(bundle) for bundle in _list_usable_models(studio)]
    )


@router.get("/models/{id:path}")
def read_model(id: str, studio: StudioDep) -> OpenAIModel:
    """Return one model."""
    return _build_openai_model(_resolve_model(studio, id))


def _submit_speech_job(body: CreateSpeechBody, studio: Studio) -> SpeechStreamRequest:
    format = (body.response_format or "mp3").lower()
    check_stream_format(format)
    options = {} if body.speed in (None, 1) else {"speed": body.speed}
    engine = studio.settings.engine
    if options and not has_option(engine, "speed"):
        raise ApiError(
            BAD_REQUEST,
            f"speed {body.speed:g} is not supported by the engine {engine}. Leave it at 1 and "
            "change the speed in the player, or choose an engine that has it.",
            "bad_request",
        )
    stated: dict[str, str] = {}
    model = body.model or ""
    if model not in OPENAI_MODEL_NAMES:
        stated["bundle"] = model if model == AUTO else _resolve_model(studio, model).name
    fields = SpeechRequestInput(
        text=body.input,
        voice=_resolve_voice(studio, body.voice),
        options=options,
        delivery={"format": "wav", "output_rate": STREAM_SAMPLE_RATE},
        request_fields=stated,
    )
    request = build_request(studio.settings, fields, studio.layout)
    plan_lines(request, studio.layout)
    job = studio.submit(request, origin=ORIGIN)
    return SpeechStreamRequest(
        job=job.id,
        format=format,
        media_type=MEDIA_TYPES[format],
        delivery=request.delivery,
        as_events=body.stream_format == "sse",
    )


def _resolve_voice(studio: Studio, voice: str | VoiceId | None) -> str | None:
    name = voice.id if isinstance(voice, VoiceId) else voice
    if not name:
        return None
    name = parse_voice_names(studio.settings.openai_voices).get(name, name)
    try:
        check_voices(studio.layout, name)
    except AppError as refusal:
        names = [known.name for known in list_voices(studio.layout)]
        listed = ", ".join(
            [*names[:MAX_LISTED_VOICES], *["…"] * (len(names) > MAX_LISTED_VOICES), RANDOM_VOICE]
        )
        message = f"There is no voice {quote_for_message(name)} here. There are: {listed}."
        raise ApiError(BAD_REQUEST, message, "missing_voice") from refusal
    return name


def _resolve_model(studio: Studio, name: str) -> ModelSummary:
    bundles = _list_usable_models(studio)
    found = next((bundle for bundle in bundles if bundle.name == name), None)
    if found is None:
        listed = ", ".join(bundle.name for bundle in bundles) or "none"
        raise ApiError(
            NOT_FOUND,
            f"There is no model {quote_for_message(name)} here. There are: {listed}.",
            "model_not_found",
        )
    return found


def _list_usable_models(studio: Studio) -> list[ModelSummary]:
    return [bundle for bundle in list_models(studio.layout) if bundle.speaks]


def _build_openai_model(bundle: ModelSummary) -> OpenAIModel:
    return OpenAIModel(id=bundle.name, created=int(bundle.path.stat().st_mtime))
