"""Takes are heard by a recognizer, and taken again until one is right; the best one is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import OutputOptions, SpeechRequest, SpeechResult
from studio.schemas.take_metadata import TakeCheck
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_takes import describe_checks, read_line_takes
from studio.synthesis.output_paths import OutputPath, get_clip_name
from studio.synthesis.planning import derive_take_seed
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.synthesis.retake import RegenerateLineRequest, RejoinClipRequest
from studio.workers.context import WorkerContext
from studio.workers.retake import regenerate_line_task, rejoin_clip_task
from studio.workers.synthesis.take_check import (
    LIMITS,
    TakeChecker,
    compare_words,
    find_sound_faults,
)
from support.fake_engine import FakeEngine
from training.asr.base import Segment, TranscribeError, Transcript

LOAD = "studio.workers.synthesis.take_check.load_transcriber"
RATE = 24_000
Speak = Callable[..., SpeechResult]


class Listener:
    """A recognizer that says what it is told, one text for each take."""

    def __init__(self, texts: Sequence[str], name: str = "whisper little") -> None:
        self.name, self.texts = name, list(texts)

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        text = self.texts.pop(0)
        return Transcript(segments=(Segment(start_s=0.0, stop_s=1.0, text=text),))


@pytest.fixture
def hear(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Listener]:
    listener = Listener([])
    monkeypatch.setattr(LOAD, lambda config, models, report: listener)

    def heard(*texts: str, name: str = "whisper little") -> Listener:
        listener.texts, listener.name = list(texts), name
        return listener

    return heard


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def speak(workshop: WorkerContext) -> Speak:
    def spoken(
        text: str = "One line here.\nThe old harbour.", *, out: str | None = None, **turned: Any
    ) -> SpeechResult:
        report = turned.pop("report", None) or ProgressReporter()
        return workshop.synthesizer.speak(build(workshop, text, out=out, **turned), report)

    return spoken


def build(
    workshop: WorkerContext, text: str, *, out: str | None = None, **turned: Any
) -> SpeechRequest:
    delivery = {"delimiter": "\\n", "take_check": "fast", "retakes": 2}
    delivery |= {name: turned.pop(name) for name in ("take_check", "retakes") if name in turned}
    wish = SpeechRequestInput(
        text=text, voice="alice", out=out, options={"seed": 7, **turned}, delivery=delivery
    )
    return build_request(Settings(), wish, workshop.layout)


def takes_of(spoken: SpeechResult, line: int) -> list[TakeCheck | None]:
    found = read_line_takes(OutputPath(clip_path=Path(spoken.path)))
    assert found is not None
    return [take.check for take in found.lines[line].takes]


def wave(path: str | Path) -> Tensor:
    return read_clip(Path(path)).wave


# what is a fault


@pytest.mark.parametrize(
    ("written", "heard", "faults"),
    [
        ("the old harbour", "the old harbour", []),
        ("the old harbour", "the harbour", ["'old' was missing"]),
        ("the old harbour", "the old old harbour", ["'old' was added"]),
        ("the old harbour", "the old castle", ["'harbour' was heard as 'castle'"]),
        ("every one of us", "everyone of us", []),
        (
            "the old harbour",
            "",
            ["'the' was missing", "'old' was missing", "'harbour' was missing"],
        ),
    ],
)
def test_missing_added_and_other_words_are_told(
    written: str, heard: str, faults: list[str]
) -> None:
    gaps = compare_words(written.split(), heard.split(), tuple, 0.9)
    assert [fault for gap in gaps for fault in gap.describe()] == faults


def test_words_that_sound_alike_are_the_same() -> None:
    sounds = {"harbour": ["HH", "AA", "R"], "harbor": ["HH", "AA", "R"]}
    assert not list(compare_words(["harbour"], ["harbor"], lambda word: sounds[word], 1.0))
    assert list(compare_words(["harbour"], ["harbor"], tuple, 1.0))


def test_fast_accepts_a_similar_word_and_strict_does_not() -> None:
    found = {
        mode: list(compare_words(["harbour"], ["harbours"], tuple, LIMITS[mode].similarity))
        for mode in ("fast", "strict")
    }
    one = {
        mode: list(compare_words(["bit"], ["bet"], tuple, LIMITS[mode].similarity))
        for mode in found
    }
    assert not one["fast"] and one["strict"] and not found["fast"]


def hum(*parts: tuple[float, float], level: float = 0.5) -> Clip:
    """Tones and silences: (seconds, 1 or 0) each."""
    waves = [
        level * loud * torch.sin(2 * torch.pi * 220 * torch.arange(round(s * RATE)) / RATE)
        for s, loud in parts
    ]
    return Clip(wave=torch.cat(waves), sample_rate=RATE)


TEXT = "About two seconds of speech here."  # 33 letters


@pytest.mark.parametrize(
    ("clip", "fault"),
    [
        (hum((2.0, 1.0)), ""),
        (hum((0.3, 1.0)), "0.3 s of speech instead of about 2.0 s"),
        (hum((9.0, 1.0)), "9.0 s of speech instead of about 2.0 s"),
        (hum((1.0, 1.0), (2.0, 0.0), (1.0, 1.0)), "a silence of 1.8 s"),
        (hum((1.8, 0.0), (2.0, 1.0)), "a silence of 1.7 s"),
        (hum((2.0, 0.0)), "there was no speech"),
        (Clip(wave=hum((2.0, 4.0)).wave.clamp(-1, 1), sample_rate=RATE), "clipped peaks"),
    ],
)
def test_length_silence_and_clipping_are_told(clip: Clip, fault: str) -> None:
    noisy = Clip(
        wave=clip.wave
        + 1e-4 * torch.randn(len(clip.wave), generator=torch.Generator().manual_seed(0)),
        sample_rate=RATE,
    )
    is_plain = "clipped" in fault or "no speech" in fault
    found = list(find_sound_faults(clip if is_plain else noisy, TEXT, LIMITS["fast"]))
    assert found == ([fault] if fault else [])


def test_a_fast_pace_is_expected_where_it_is_asked_for() -> None:
    clip = hum((1.0, 1.0))
    assert not list(find_sound_faults(clip, TEXT, LIMITS["strict"], speed=2.0))


# what is done about it


def test_a_line_with_a_missing_word_is_taken_again_and_the_reason_kept(
    speak: Speak, hear: Callable[..., Listener]
) -> None:
    listener = hear("One line here.", "The old.", "The old harbour.")
    spoken = speak()
    assert not listener.texts and len(FakeEngine.heard) == 3
    expected = (
        "Take check by whisper little: 2 of 2 lines passed.",
        "Line 2, take 2: 'harbour' was missing in take 1.",
    )
    assert spoken.checks == expected and spoken.warnings == ()
    record = read_metadata(Path(spoken.path))
    assert record.checks == expected and record.seed == 7
    assert Path(spoken.lines[1].path).stem == "002.candidate-2"
    first, second = takes_of(spoken, 1)
    assert first is not None and first.word_errors == 1 and not first.passed
    assert second is not None and second.passed and second.words == 3


def test_the_best_take_is_kept_where_none_is_right_and_it_is_said(
    speak: Speak, hear: Callable[..., Listener]
) -> None:
    hear("One line here.", "The.", "The old.", "")
    spoken = speak()
    assert spoken.checks[0].endswith("1 of 2 lines passed.")
    assert spoken.checks[1] == "Line 2, take 2, which did not pass: 'harbour' was missing."
    assert len(FakeEngine.heard) == 4


def test_the_same_seed_gives_the_same_clip_and_retakes_have_other_seeds(
    speak: Speak, hear: Callable[..., Listener], tmp_path: Path
) -> None:
    clips = []
    for number in range(2):
        hear("One line here.", "The old.", "The old harbour.")
        clips.append(speak(out=str(tmp_path / f"{number}.wav")))
    assert torch.equal(wave(clips[0].path), wave(clips[1].path))
    unchecked = speak(take_check="off", out=str(tmp_path / "off.wav"))
    assert not torch.equal(wave(clips[0].path), wave(unchecked.path))
    assert len({derive_take_seed(7, number) for number in range(1, 9)}) == 8
    assert derive_take_seed(7, 1) == 7


def test_a_clip_with_a_retake_is_reproduced_without_listening(
    workshop: WorkerContext, speak: Speak, hear: Callable[..., Listener], tmp_path: Path
) -> None:
    for text, heard in (("The old harbour.", 0), ("One line here.\nThe old harbour.", 1)):
        hear(*["One line here."] * heard, "The old.", "The old harbour.")
        spoken = speak(text)
        record = read_metadata(Path(spoken.path))
        assert record.redone[0].index == heard
        hear(*["One line here."] * heard)
        wish = SpeechRequestInput(out=str(tmp_path / "again.wav"))
        request = build_request_from_metadata(Settings(), record, wish)
        again = workshop.synthesizer.speak(request, ProgressReporter())
        assert torch.equal(wave(spoken.path), wave(again.path))


def test_another_candidate_that_is_right_is_kept_before_a_retake(
    speak: Speak, hear: Callable[..., Listener]
) -> None:
    listener = hear("The old.", "The old harbour.")
    spoken = speak("The old harbour.", candidates=2)
    assert not listener.texts and len(FakeEngine.heard) == 1
    assert read_metadata(Path(spoken.path)).redone[0].candidate == 2


def test_one_line_that_was_retaken_keeps_its_takes_to_choose_from(
    workshop: WorkerContext, speak: Speak, hear: Callable[..., Listener]
) -> None:
    hear("The old.", "The old harbour.")
    spoken = speak("The old harbour.")
    kept, clip = wave(spoken.path), get_clip_name(workshop.layout, Path(spoken.path))
    older = rejoin_clip_task(
        workshop, RejoinClipRequest(clip=clip, takes={"0": "001.wav"}), ProgressReporter()
    )
    assert not torch.equal(kept, wave(older.path))
    assert "did not pass" in older.checks[1]
    back = rejoin_clip_task(
        workshop,
        RejoinClipRequest(clip=clip, takes={"0": "001.candidate-2.wav"}),
        ProgressReporter(),
    )
    assert torch.equal(kept, wave(back.path))


def test_a_regenerated_line_is_checked_unless_its_seed_is_given(
    workshop: WorkerContext, speak: Speak, hear: Callable[..., Listener]
) -> None:
    hear("One line here.", "The old harbour.")
    spoken = speak()
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    listener = hear("The old.", "The old harbour.")
    regenerate_line_task(workshop, RegenerateLineRequest(clip=clip, line=1), ProgressReporter())
    assert not listener.texts and len(takes_of(spoken, 1)) == 3
    regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=1, seed=5), ProgressReporter()
    )
    assert takes_of(spoken, 1)[3] is None


def test_a_stopped_clip_goes_on_with_the_takes_that_were_kept(
    speak: Speak, hear: Callable[..., Listener], tmp_path: Path
) -> None:
    texts = ["The old.", "The old harbour.", "One line here."]
    hear(*texts)
    whole = speak("The old harbour.\nOne line here.", out=str(tmp_path / "whole.wav"))

    def stop_after_first_line(event: ProgressEvent) -> None:
        if event.kind == "take":
            raise Cancelled("enough")

    out = str(tmp_path / "parts.wav")
    hear(*texts)
    with pytest.raises(Cancelled):
        speak(
            "The old harbour.\nOne line here.",
            out=out,
            report=ProgressReporter(stop_after_first_line),
        )
    FakeEngine.heard.clear()
    hear("One line here.")
    resumed = speak("The old harbour.\nOne line here.", out=out)
    assert FakeEngine.heard == ["One line here."] and resumed.checks == whole.checks
    assert torch.equal(wave(whole.path), wave(resumed.path))


def test_a_line_that_is_stopped_during_a_retake_keeps_its_best_take(
    speak: Speak, hear: Callable[..., Listener], tmp_path: Path
) -> None:
    text, out = "The old harbour.\nOne line here.", str(tmp_path / "a.wav")
    hear("The old.", "The.")
    stopped = ProgressReporter(stopped=lambda: len(FakeEngine.heard) > 2)
    with pytest.raises(Cancelled):
        speak(text, out=out, report=stopped)
    FakeEngine.heard.clear()
    hear("One line here.")
    resumed = speak(text, out=out)
    assert FakeEngine.heard == ["One line here."]
    assert Path(resumed.lines[0].path).name == "001.wav"


def test_a_stop_does_not_wait_for_the_recognizer(workshop: WorkerContext) -> None:
    go_on = threading.Event()

    class Slow(Listener):
        def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
            go_on.wait(30)
            return super().transcribe(wave, report)

    checker = TakeChecker(workshop.layout.whisper)
    checker._recognizer = Slow(["One.", "The old harbour."])
    begun = time.monotonic()
    clip = hum((1.0, 1.0))
    stop = ProgressReporter(stopped=lambda: time.monotonic() - begun > 0.2)
    with pytest.raises(Cancelled):
        checker.check(clip, "The old harbour.", LIMITS["fast"], stop)
    assert time.monotonic() - begun < 5
    go_on.set()
    assert checker.check(clip, "The old harbour.", LIMITS["fast"], ProgressReporter()).passed


def test_pocketsphinx_only_notices_another_text(
    speak: Speak, hear: Callable[..., Listener]
) -> None:
    hear("the cold barber", name="pocketsphinx en-us")
    spoken = speak("The old harbour.")
    assert spoken.checks == ("Take check by pocketsphinx en-us: 1 of 1 lines passed.",)


def test_without_a_recognizer_the_clip_is_spoken_and_the_reason_said(
    speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(config: Any, models: Any, report: Any) -> None:
        raise TranscribeError("No package is installed.")

    monkeypatch.setattr(LOAD, missing)
    spoken = speak()
    assert spoken.warnings == ("The takes are not checked: No package is installed.",)
    assert spoken.checks == () and len(FakeEngine.heard) == 2


def test_without_the_check_nothing_is_heard(speak: Speak, hear: Callable[..., Listener]) -> None:
    hear()
    assert speak(take_check="off").checks == ()


def test_impossible_values_are_refused(workshop: WorkerContext) -> None:
    with pytest.raises(ValueError, match="take_check is 'slow'; it must be one of off, fast"):
        OutputOptions(take_check="slow")
    with pytest.raises(AppError, match="retakes is 0; it must be from 1 to 10"):
        build(workshop, "One.", retakes=0)


def test_lines_that_were_not_checked_are_not_counted() -> None:
    passed = TakeCheck(recognizer="whisper little", words=2)
    assert describe_checks([[None], [passed]], [0, 0]) == (
        "Take check by whisper little: 1 of 1 lines passed.",
    )
    assert describe_checks([[None]], [0]) == ()


# takes to choose from


def test_a_grid_of_takes_is_checked_and_compared_and_the_best_is_in_use(
    workshop: WorkerContext,
    speak: Speak,
    hear: Callable[..., Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "studio.workers.retake.measure_clips",
        lambda layout, clips, voice, device: [round(0.9 - 0.1 * at, 1) for at in range(len(clips))],
    )
    spoken = speak(take_check="off")
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    listener = hear("The old.", "The old harbour.", "The old harbour.")
    request = RegenerateLineRequest(clip=clip, line=1, seed=5, takes=3)
    redone = regenerate_line_task(workshop, request, ProgressReporter())
    assert not listener.texts
    lines = read_line_takes(OutputPath(clip_path=Path(redone.path)))
    assert lines is not None
    takes = lines.lines[1].takes
    assert [take.likeness for take in takes] == [None, 0.9, 0.8, 0.7]
    assert [take.check and take.check.word_errors for take in takes] == [None, 1, 0, 0]
    assert takes[1].seed == 5 and len({take.seed for take in takes}) == 4
    assert lines.lines[1].chosen == takes[2].file


def test_a_grid_has_a_limit(workshop: WorkerContext) -> None:
    with pytest.raises(AppError, match="takes is 11; it must be from 1 to 10"):
        RegenerateLineRequest(clip="alice/a.wav", line=0, takes=11)


def test_a_grid_of_two_settings_has_every_combination_with_one_seed(
    workshop: WorkerContext,
    speak: Speak,
    hear: Callable[..., Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "studio.workers.retake.measure_clips",
        lambda layout, clips, voice, device: [0.5] * len(clips),
    )
    spoken = speak("The old harbour.", take_check="off")
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    hear(*["The old."] * 3, *["The old harbour."] * 3)
    grid = {"temperature": (0.5, 1.0), "crop": ("whole", "first"), "samples": (2,)}
    with pytest.raises(AppError, match="one or two settings"):
        RegenerateLineRequest(clip=clip, line=0, grid=grid)
    with pytest.raises(AppError, match="2 to 4 values"):
        RegenerateLineRequest(clip=clip, line=0, grid={"samples": (2,)})
    grid = {"temperature": (0.5, 1.0), "crop": ("whole", "first")}
    request = RegenerateLineRequest(clip=clip, line=0, grid=grid)
    redone = regenerate_line_task(workshop, request, ProgressReporter())
    lines = read_line_takes(OutputPath(clip_path=Path(redone.path)))
    assert lines is not None
    first, *takes = lines.lines[0].takes
    assert [(take.options["temperature"], take.options["crop"]) for take in takes] == [
        (0.5, "whole"), (0.5, "first"), (1.0, "whole"), (1.0, "first"),
    ]  # fmt: skip
    assert {take.seed for take in takes} == {first.seed} and takes[0].likeness == 0.5
    assert lines.lines[0].chosen == takes[3].file  # the first one without a wrong word


def test_a_grid_with_a_value_out_of_range_is_refused_before_a_take(
    workshop: WorkerContext, speak: Speak
) -> None:
    clip = get_clip_name(workshop.layout, Path(speak(take_check="off").path))
    FakeEngine.heard.clear()
    for grid in ({"temperature": (0.5, 9.0)}, {"loudest": (1, 2)}):
        request = RegenerateLineRequest(clip=clip, line=0, grid=grid)
        with pytest.raises(AppError, match=next(iter(grid))):
            regenerate_line_task(workshop, request, ProgressReporter())
    assert FakeEngine.heard == []
