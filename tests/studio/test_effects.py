"""Effects make a new version of a clip, which says what it was made from; the original stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import from_dict, to_dict
from studio.schemas.clip_tools import (
    PREVIEW_S,
    ApplyEffectsRequest,
    ApplyEffectsResult,
    merge_effects,
)
from studio.schemas.settings import Settings
from studio.synthesis.audio_metadata import is_marked_synthetic, read_metadata
from studio.synthesis.output_paths import get_clip_name, list_recent_clips
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.uploads import resolve_file_ref, store_upload
from studio.workers.apply_effects import apply_effects_task
from studio.workers.context import WorkerContext

Speak = Callable[..., Path]


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def speak(workshop: WorkerContext) -> Speak:
    def spoken(text: str = "One two three.", **delivery: str) -> Path:
        wish = SpeechRequestInput(text=text, voice="alice", options={"seed": 7}, delivery=delivery)
        request = build_request(Settings(), wish, workshop.layout)
        return Path(workshop.synthesizer.speak(request, ProgressReporter()).path)

    return spoken


def apply(
    workshop: WorkerContext, clip: Path | str, preset: str = "telephone", preview: bool = False
) -> ApplyEffectsResult:
    reference = clip if isinstance(clip, str) else f"results/{get_clip_name(workshop.layout, clip)}"
    request = ApplyEffectsRequest(
        clip=reference, options=merge_effects(preset, {}), name=preset, preview=preview
    )
    assert from_dict(ApplyEffectsRequest, to_dict(request)) == request  # crosses to the worker
    return apply_effects_task(workshop, request, ProgressReporter())


def test_a_clip_gets_a_version_beside_it_with_its_settings(
    workshop: WorkerContext, speak: Speak
) -> None:
    clip = speak(format="flac", bit_depth="24")
    before = clip.read_bytes()
    made = Path(apply(workshop, clip).path)
    assert clip.read_bytes() == before and made.parent == clip.parent
    assert made.name == f"{clip.stem}-telephone.flac" and soundfile.info(made).subtype == "PCM_24"
    record = read_metadata(made)
    assert record.text == "One two three." and record.seed == 7
    assert record.effects == ({"band": "telephone", "compression": 4.0},)
    assert record.source == f"alice/{clip.name}" and is_marked_synthetic(made)


def test_versions_of_versions_know_the_whole_chain_and_no_name_is_used_twice(
    workshop: WorkerContext, speak: Speak
) -> None:
    clip = speak()
    first = Path(apply(workshop, clip).path)
    second = Path(apply(workshop, clip).path)
    assert first.read_bytes()[44:] == second.read_bytes()[44:] or first != second
    assert second.name == f"{clip.stem}-telephone-2.wav"
    third = read_metadata(Path(apply(workshop, first, "hall").path))
    assert [*map(dict, third.effects)] == [
        {"band": "telephone", "compression": 4.0},
        {"reverb": 0.35, "reverb_s": 2.2},
    ]
    assert third.source == f"alice/{first.name}"
    assert list_recent_clips(workshop.layout)[-1] == f"alice/{clip.name}"


def test_a_preview_is_short_and_no_clip_of_the_history(
    workshop: WorkerContext, speak: Speak
) -> None:
    clip = speak("word " * 60)
    assert soundfile.info(clip).duration > PREVIEW_S
    made = apply(workshop, clip, preview=True)
    assert made.preview and soundfile.info(made.path).duration == pytest.approx(PREVIEW_S)
    assert list_recent_clips(workshop.layout) == [f"alice/{clip.name}"]
    assert resolve_file_ref(workshop.layout, made.clip) == Path(made.path)


def test_a_recording_from_elsewhere_is_not_called_synthetic(workshop: WorkerContext) -> None:
    recording = workshop.layout.voices / "alice" / "one.wav"
    made = apply(workshop, store_upload(workshop.layout, recording))
    assert Path(made.path) == workshop.layout.results / "effects" / "one-telephone.wav"
    assert not is_marked_synthetic(Path(made.path))
    with pytest.raises(AppError):
        read_metadata(Path(made.path))


def test_no_effect_and_unknown_effects_are_refused(workshop: WorkerContext) -> None:
    with pytest.raises(ValueError, match="No effect is turned on"):
        ApplyEffectsRequest(clip="results/alice/a.wav")
    with pytest.raises(ValueError, match=r"There are no effects 'telefone'\. Did you mean"):
        merge_effects("telefone", {})
    with pytest.raises(AppError, match="no longer exists"):
        apply(workshop, "results/alice/gone.wav")


def test_the_command_line_writes_a_new_file(
    testudo: Callable[..., tuple[int, str, str]], speak: Speak, tmp_path: Path
) -> None:
    clip = speak()
    target = tmp_path / "low.wav"
    code, out, _ = testudo("effects", str(clip), "--pitch", "-3", "--out", str(target))
    assert code == 0 and "with effects" in out
    assert read_metadata(target).effects == ({"pitch": -3.0},)
    code, out, _ = testudo("read", str(target))
    assert "effects      pitch -3.0" in out and f"made from    alice/{clip.name}" in out
    assert testudo("effects", str(clip), "--out", str(tmp_path / "b.wav"))[0] == 2
    assert testudo("effects", str(clip), "--preset", "hall", "--out", str(target))[0] == 2
