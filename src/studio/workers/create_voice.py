"""New voices: made up and kept, copied from clips, or taken out of a spoken clip."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
from safetensors import SafetensorError

from audio.clip import ClipError
from audio.io import read_clip
from audio.wav_repair import describe_wav_damage
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import copy_file
from core.paths import ProjectPaths, find_same_name, fold_name, quote_for_message
from core.progress import ProgressReporter
from engines.speaker_latents import SpeakerLatents
from studio.schemas.speech import SpeechRequest
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.embedded_latents import parse_embedded_latents
from studio.voices.catalog import AUDIO_SUFFIXES, LATENTS_FILE, RANDOM_VOICE, Voice, find_voice
from studio.voices.consent import ConsentNote, parse_consent, write_consent
from studio.voices.uploads import is_transcript
from studio.workers.synthesis.engine_cache import EngineCache
from studio.workers.synthesis.latents_cache import generate_random_speaker_latents

if TYPE_CHECKING:
    from engines.protocols import Engine


from studio.voices.uploads import ImportVoiceRequest, ImportVoiceResult
from studio.workers.context import WorkerContext


def create_random_voice(
    name: str, request: SpeechRequest, layout: ProjectPaths, report: ProgressReporter
) -> Voice:
    """Create the voice `random#SEED` and save its latents under a name.

    Raises AppError where the name is taken or the engine has no random voices.
    """
    _get_new_voice_folder(name, layout)
    engine = EngineCache(layout).get_engine(request, report)
    return save_random_voice(name, request.seed, engine, layout, report)


def save_random_voice(
    name: str, seed: int, engine: Engine, layout: ProjectPaths, report: ProgressReporter
) -> Voice:
    """Save a random voice of an engine."""
    _get_new_voice_folder(name, layout)
    speaker = generate_random_speaker_latents(engine, seed, report)
    note = ConsentNote(basis="synthetic", speaker=f"{RANDOM_VOICE}#{seed}")
    return save_latents(name, speaker, note, layout)


def save_latents(
    name: str, speaker: SpeakerLatents, note: ConsentNote | None, layout: ProjectPaths
) -> Voice:
    """Save speaker latents as a new voice."""
    folder = _get_new_voice_folder(name, layout)
    with translate_write_errors(folder):
        folder.mkdir(parents=True)
        speaker.save(folder / LATENTS_FILE)
        if note is not None:
            write_consent(folder, note)
    return find_voice(layout, name)


def import_voice(
    name: str,
    files: Sequence[Path],
    layout: ProjectPaths,
    report: ProgressReporter,
    *,
    sound_only: bool = False,
) -> Voice:
    """Copy clips into a voice, or extract the latents embedded in one clip.

    Every clip is read before the first is copied; transcripts beside them are copied too. Raises
    AppError for a clip that cannot be used. sound_only: copy the clip even if it has latents.
    """
    if (
        not sound_only
        and len(files) == 1
        and (text := _read_embedded_latents(files[0])) is not None
    ):
        return _import_latents(name, text, files[0], layout)
    folder = layout.voice(_check_not_random(name))
    with reraise_as_app_error(ClipError):
        clips = [path for path in files if not is_transcript(path.name)]
        for path in report.track(clips, "reading clips"):
            read_clip(path)
            if damage := describe_wav_damage(path):
                report.warn(damage)
    _check_names(files, folder)
    with translate_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            copy_file(path, folder / path.name)
    return find_voice(layout, name)


def decode_latents(text: str, source: str) -> SpeakerLatents:
    """Return speaker latents from the metadata of a clip, which may come from anyone.

    Raises AppError, and nothing else, for whatever is not such latents.
    """
    found = parse_embedded_latents(text, source)
    try:
        tensors = safetensors.torch.load(found.raw)
        return SpeakerLatents(engine=found.engine, weights_id=found.weights_id, tensors=tensors)
    except (SafetensorError, ValueError) as cause:
        raise AppError(
            f"The latents in {source} cannot be used: {cause}", code="bad_latents"
        ) from cause


def _import_latents(name: str, text: str, source: Path, layout: ProjectPaths) -> Voice:
    speaker = decode_latents(text, source.name)
    note = parse_consent(parse_embedded_latents(text, source.name).consent)
    return save_latents(name, speaker, note, layout)


def _read_embedded_latents(path: Path) -> str | None:
    try:
        return read_metadata(path).latents
    except AppError:  # a recording, which is the usual thing to import
        return None


def _get_new_voice_folder(name: str, layout: ProjectPaths) -> Path:
    folder = layout.voice(_check_not_random(name))
    if folder.exists():
        raise AppError(
            f"There is already a voice {quote_for_message(name)}. Choose another name.",
            code="name_taken",
        )
    return folder


def _check_not_random(name: str) -> str:
    if name == RANDOM_VOICE or name.startswith(f"{RANDOM_VOICE}#"):
        raise AppError(f"{name} is reserved for random voices. Choose another name.")
    return name


def _check_names(files: Sequence[Path], folder: Path) -> None:
    names = [path.name for path in files]
    folded = [fold_name(name) for name in names]
    if all(is_transcript(name) for name in names):
        raise AppError("These are only transcripts. Add the clips that they belong to.")
    for path in files:
        fits = path.suffix.lower() in AUDIO_SUFFIXES or is_transcript(path.name)
        if not fits or path.name.startswith("."):
            raise AppError(
                f"{path.name} is not recognized as an audio file. Use one of these suffixes: "
                f"{', '.join(AUDIO_SUFFIXES)}.",
                code="unsupported_format",
            )
        if folded.count(fold_name(path.name)) > 1 or find_same_name(folder, path.name).exists():
            raise AppError(f"The voice would have two clips named {path.name}. Rename one of them.")


def import_voice_task(
    context: WorkerContext, request: ImportVoiceRequest, report: ProgressReporter
) -> ImportVoiceResult:
    """Copy uploaded clips into a voice.

    Raises AppError, without copying any, for a file that is not audio.
    """
    uploads = (context.layout.state / "uploads").resolve()
    folder = Path(request.folder)
    if folder.resolve().parent != uploads or not folder.is_dir():
        raise AppError("The uploaded clips no longer exist. Upload them again.")
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        voice = import_voice(
            request.name, files, context.layout, report, sound_only=request.sound_only
        )
        return ImportVoiceResult(voice=voice.name, clips=len(voice.clips))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
