"""A line lasts exactly as long as it is asked for, and says so where its pace is unnatural."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import soundfile
import torch

from audio.clip import Clip
from audio.io import read_clip
from core.errors import AppError
from core.options import OptionInfo
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import get_clip_name
from studio.synthesis.preview import PreviewRequest, preview
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.synthesis.retake import RegenerateLineRequest
from studio.workers.context import WorkerContext
from studio.workers.retake import regenerate_line_task
from studio.workers.synthesis.clip_editing import fit_duration
from support.fake_engine import RATE, WORD_S, FakeEngine, FakeOptions
from text.script import ScriptError, parse_script

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
TEXT = "One two three four five six."  # 1.2 s of humming


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


def speak(
    workshop: WorkerContext, text: str = TEXT, *, out: str | None = None, **delivery: Any
) -> SpeechResult:
    wish = SpeechRequestInput(
        text=text,
        voice="alice",
        out=out,
        options={"seed": 7},
        delivery={"delimiter": "\\n", **delivery},
    )
    request = build_request(Settings(), wish, workshop.layout)
    return workshop.synthesizer.speak(request, ProgressReporter())


def samples_of(path: str) -> int:
    return int(soundfile.info(path).frames)


@needs_ffmpeg
@pytest.mark.parametrize("seconds", [0.7, 1.0, 1.2, 1.2345, 2.0, 3.2])
def test_a_clip_lasts_to_the_sample(workshop: WorkerContext, seconds: float) -> None:
    spoken = speak(workshop, duration=seconds)
    assert samples_of(spoken.path) == round(seconds * RATE)
    rushed = not 1 / 1.25 <= seconds / 1.2 <= 1.33
    assert any("natural pace" in warning for warning in spoken.warnings) == rushed
    at_48 = speak(workshop, duration=seconds, output_rate=48_000)
    assert abs(samples_of(at_48.path) - round(seconds * 48_000)) <= 1


@needs_ffmpeg
def test_lines_of_a_clip_have_lengths_of_their_own(workshop: WorkerContext) -> None:
    text = f'[duration:1.5s] {TEXT}\n{{"duration": 0.8}} {TEXT}\n[Duration = 900ms]{TEXT}\n{TEXT}'
    spoken = speak(workshop, text, pause_s=0.5)
    lengths = [samples_of(line.path) for line in spoken.lines]
    assert lengths[:3] == [36_000, 19_200, 21_600] and spoken.heard == " ".join([TEXT] * 4)
    silence = 3 * round(0.5 * RATE)
    last = samples_of(spoken.path) - sum(lengths[:3]) - silence
    assert abs(last - 6 * WORD_S * RATE) < 0.02 * RATE


@needs_ffmpeg
def test_a_length_is_kept_by_a_retake_and_reproduced(
    workshop: WorkerContext, tmp_path: Path
) -> None:
    spoken = speak(workshop, f"[duration:1s] {TEXT}\n{TEXT}")
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    redone = regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=0, seed=3), ProgressReporter()
    )
    assert samples_of(redone.lines[0].path) == RATE
    record = read_metadata(Path(redone.path))
    assert record.redone[0].duration_s == 1.0
    request = build_request_from_metadata(
        Settings(), record, SpeechRequestInput(out=str(tmp_path / "again.wav"))
    )
    again = workshop.synthesizer.speak(request, ProgressReporter())
    assert torch.equal(read_clip(Path(redone.path)).wave, read_clip(Path(again.path)).wave)


@dataclass(frozen=True, slots=True, kw_only=True)
class PacedOptions(FakeOptions):
    speed: Annotated[float, OptionInfo(0.5, 2.0, 0.05, "Pace")] = 1.0


class PacedEngine(FakeEngine):
    """Knows how long a text lasts, and hums it at a speed."""

    options: ClassVar[type] = PacedOptions
    speeds: ClassVar[list[float]] = []

    def predict_duration(self, text: str, speaker: Any, options: PacedOptions) -> float | None:
        return len(text.split()) * WORD_S / options.speed

    def _hum(self, text: str, speaker: Any, generator: torch.Generator) -> Clip:
        clip = super()._hum(text, speaker, generator)
        wave = clip.wave[: round(len(clip.wave) / self.speeds[-1])]
        return Clip(wave=wave, sample_rate=RATE)

    def synthesize(self, text: str, speaker: Any, options: Any, report: ProgressReporter) -> Any:
        self.speeds.append(options.speed)
        return super().synthesize(text, speaker, options, report)


def test_an_engine_that_knows_its_durations_speaks_at_the_pace_and_nothing_is_stretched(
    workshop: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ("test_duration:PacedOptions", "test_duration:PacedEngine")
    monkeypatch.setattr("engines.registry.ENGINES", {"tortoise": entry})
    monkeypatch.setattr(
        "engines.registry._import_class",
        {entry[0]: PacedOptions, entry[1]: PacedEngine}.__getitem__,
    )

    def refuse(*_: Any) -> None:
        raise AssertionError("it was stretched")

    monkeypatch.setattr("studio.workers.synthesis.clip_editing.change_pace", refuse)
    PacedEngine.speeds.clear()
    spoken = speak(workshop, duration=1.0)
    assert PacedEngine.speeds == [1.2] and samples_of(spoken.path) == RATE
    assert spoken.warnings == ()


@needs_ffmpeg
def test_too_short_a_length_is_refused_and_a_long_one_ends_in_silence() -> None:
    clip = Clip(wave=0.5 * torch.sin(torch.arange(RATE) * 0.1), sample_rate=RATE)
    with pytest.raises(ValueError, match=r"takes 1\.0 s, so 0\.3 s are too short"):
        fit_duration(clip, 0.3)
    long = fit_duration(clip, 5.0).wave
    assert len(long) == 5 * RATE and not long[round(2.1 * RATE) :].any()


def test_a_line_of_several_chunks_has_no_length(workshop: WorkerContext) -> None:
    with pytest.raises(AppError, match="is to last 9 s, but it is spoken in"):
        speak(workshop, f"[duration:9] {TEXT * 20}", piece_chars=100)


@pytest.mark.parametrize("line", ['{"duration": 0}', '{"duration": "x"}', "[duration:500s]"])
def test_a_length_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ScriptError, match=r"Line 2: duration is .*; give the seconds, up to 120"):
        parse_script(f"One.\n{line} Two.", "\n")


def test_the_preview_knows_the_length(workshop: WorkerContext) -> None:
    shown = preview(PreviewRequest(text=f"[duration:7.5s] {TEXT}", voice="alice"), workshop.layout)
    assert shown.seconds == 7.5 and shown.pieces[0].text == TEXT
