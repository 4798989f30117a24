"""Pauses are heard: the joined wave has exactly the silence that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from core.serialization import from_dict, to_dict
from studio.schemas.settings import Settings
from studio.schemas.speech import OutputOptions, SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath, get_clip_name
from studio.synthesis.preview import PreviewRequest, preview
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.synthesis.retake import RegenerateLineRequest
from studio.synthesis.stream_mixer import STREAM_SAMPLE_RATE, StreamMixer
from studio.workers.context import WorkerContext
from studio.workers.retake import regenerate_line_task
from studio.workers.synthesis.clip_editing import concatenate_clips
from support.fake_engine import RATE, FakeEngine
from text.pauses import Pause, PauseKind

TOLERANCE_S = 0.01
Speak = Callable[..., SpeechResult]


@pytest.fixture
def context(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def speak(context: WorkerContext) -> Speak:
    def spoken(text: str, report: ProgressReporter | None = None, **delivery: Any) -> SpeechResult:
        wish = SpeechRequestInput(
            text=text, voice="alice", options={"seed": 7}, delivery={"fade_ms": 0, **delivery}
        )
        request = build_request(Settings(), wish, context.layout)
        return context.synthesizer.speak(request, report or ProgressReporter())

    return spoken


def wave_of(path: str | Path) -> Tensor:
    return read_clip(Path(path)).wave


def layout_of(spoken: SpeechResult) -> ProjectPaths:
    return ProjectPaths.from_root(Path(spoken.path).parents[2])


def silences(wave: Tensor, least_s: float = 0.02) -> list[float]:
    """The seconds of each run of silence, in order."""
    quiet = torch.cat([torch.tensor([0]), (wave.abs() < 1e-6).int(), torch.tensor([0])])
    edges = quiet.diff().nonzero().flatten().reshape(-1, 2)
    lengths = [float(end - start) / RATE for start, end in edges]
    return [length for length in lengths if length >= least_s]


HEARD = {
    "a pause in brackets": ("One two. [pause:0.8s] Three.", [0.8]),
    "a break tag": ('One two <break time="800ms"/> three.', [0.8]),
    "two tags in a row": ('One. [pause:0.5s]<break time="250ms"/> Two.', [0.75]),
    "a tag between paragraphs": ("One.\n\n[pause:1.3s]\n\nTwo.", [1.3]),
    "a tag of its own line": ("One.\n[pause:0.4s]\nTwo.", [0.4]),
    "a pause of zero": ("One.\n\n[pause:0s]Two.", []),
    "at both ends": ("[pause:0.6s] One. [pause:1s]", [0.6, 1.0]),
    "at both ends of several": ("[pause:0.6s] One.\n\nTwo. [pause:1s]", [0.6, 0.7, 1.0]),
    "a blank line": ("One.\n\nTwo.\n\nThree.", [0.7, 0.7]),
    "a scene break": ("One.\n\n* * *\n\nTwo.", [1.2]),
    "a heading": ("One.\n\nChapter 2\n\nTwo.", [1.2, 0.7]),
    "list items": ("- one\n- two", [0.3]),
    "a strength": ('One. <break strength="x-strong"/> Two.', [1.2]),
}


@pytest.mark.parametrize("case", HEARD)
def test_the_joined_wave_has_exactly_this_silence(case: str, speak: Speak) -> None:
    text, expected = HEARD[case]
    spoken = speak(text)
    found = silences(wave_of(spoken.path))
    assert found == pytest.approx(expected, abs=TOLERANCE_S)
    assert not any("pause" in heard or "break" in heard for heard in FakeEngine.heard)
    shown = preview(PreviewRequest(text=text, voice="alice"), layout_of(spoken))
    asked = [shown.pieces[0].lead_s, *(piece.pause_s for piece in shown.pieces)]
    assert [seconds for seconds in asked if seconds] == pytest.approx(expected)


@pytest.mark.parametrize("kind", get_args(PauseKind))
def test_every_kind_of_pause_is_an_option(kind: str, speak: Speak) -> None:
    option = "pause_s" if kind == "sentence" else f"pause_{kind}_s"
    long = "they went and came and went and came again that day"
    text = {
        "none": f"{long} {long}",
        "comma": f"{long}, {long}",
        "sentence": "- One\n- two",
        "paragraph": "One.\n\nTwo.",
        "section": "One.\n\n***\n\nTwo.",
    }[kind]
    spoken = speak(text, piece_chars=40, **{option: 1.65})
    assert 1.65 in [round(seconds, 2) for seconds in silences(wave_of(spoken.path))]
    assert read_metadata(Path(spoken.path)).delivery[option] == 1.65
    pause = Pause(kind=kind)  # type: ignore[arg-type]
    assert OutputOptions(**{option: 1.65}).get_pause_s(pause) == 1.65
    assert OutputOptions().get_pause_s(replace(pause, seconds=0.2)) == 0.2


def test_a_line_that_is_redone_keeps_the_pauses_around_it(
    context: WorkerContext, speak: Speak
) -> None:
    first = speak("[pause:0.5s] One two.\n\nThree four. [pause:0.9s] Five. [pause:0.4s]")
    before = silences(wave_of(first.path))
    assert before == pytest.approx([0.5, 0.7, 0.9, 0.4], abs=TOLERANCE_S)
    clip = get_clip_name(context.layout, Path(first.path))
    for line in range(3):
        request = RegenerateLineRequest(clip=clip, line=line, seed=line)
        again = regenerate_line_task(context, request, ProgressReporter())
        assert silences(wave_of(again.path)) == pytest.approx(before, abs=TOLERANCE_S)
    like = build_request_from_metadata(
        Settings(), read_metadata(Path(again.path)), SpeechRequestInput()
    )
    third = context.synthesizer.speak(like, ProgressReporter())
    assert torch.equal(wave_of(again.path), wave_of(third.path))


def test_a_clip_of_one_piece_keeps_its_silence_when_it_is_redone(
    context: WorkerContext, speak: Speak
) -> None:
    first = speak("[pause:0.5s] One two. [pause:0.4s]")
    clip = get_clip_name(context.layout, Path(first.path))
    again = regenerate_line_task(
        context, RegenerateLineRequest(clip=clip, line=0, seed=3), ProgressReporter()
    )
    assert silences(wave_of(again.path)) == pytest.approx([0.5, 0.4], abs=TOLERANCE_S)


def test_a_line_never_has_two_peoples_words(speak: Speak) -> None:
    for text in (
        "Nora: Are you there?\nBram: I am.\nNora: Good.",
        '"Are you there?" asked Nora.\n"I am," said Bram.\n"Good," said Nora.',
        '"Are you there?" asked Nora. "I am," said Bram. "Good," said Nora.',
        "— Are you there?\n— I am.\n— Good.",
    ):
        FakeEngine.heard.clear()
        assert len(speak(text).lines) == 3 == len(FakeEngine.heard)


def test_the_stream_has_the_same_silence(speak: Speak, tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    text = "[pause:0.5s] One.\n\nTwo. [pause:0.9s] Three. [pause:0.4s]"
    spoken = speak(text, ProgressReporter(events.append), output_rate=STREAM_SAMPLE_RATE)
    stream = StreamMixer("pcm", pause_s=0.3, fade_ms=0)
    sound = b"".join(
        stream.add(
            Path(event.data["path"]),
            **{name: event.data[name] for name in ("pause_s", "lead_s", "is_last")},
        )
        for event in events
        if event.kind == "take"
    )
    steps = torch.frombuffer(bytearray(sound + stream.end()), dtype=torch.int16)
    whole = wave_of(spoken.path)
    assert len(steps) == len(whole)
    assert silences(steps / 32_768) == pytest.approx([0.5, 0.7, 0.9, 0.4], abs=TOLERANCE_S)


def test_files_of_older_versions_keep_their_pauses(speak: Speak) -> None:
    spoken = speak("One.\n\nTwo.\n\nThree.", pause_s=0.45)
    destination = OutputPath(clip_path=Path(spoken.path))
    lines = read_line_takes(destination)
    assert lines is not None
    old = to_dict(lines)
    for line in old["lines"]:
        del line["pause_s"], line["lead_s"]
    for name in [name for name in old["request"]["delivery"] if name.startswith("pause_")]:
        if name != "pause_s":
            del old["request"]["delivery"][name]
    read = from_dict(LineTakesFile, old)
    assert read.list_pauses() == [0.45, 0.45, 0.0]
    assert read.request.delivery == OutputOptions(pause_s=0.45, fade_ms=0)


def test_silence_of_the_takes_does_not_lengthen_a_pause(tmp_path: Path) -> None:
    sound, quiet = torch.full((RATE,), 0.5), torch.full((RATE // 4,), 0.0005)
    take = Clip(wave=torch.cat([quiet, sound, quiet]), sample_rate=RATE)
    options = OutputOptions(fade_ms=0)
    joined = concatenate_clips([take, take], options, [0.8, 0.0]).wave
    stream = StreamMixer("pcm", pause_s=0.3, fade_ms=0)
    write_clip(tmp_path / "take.wav", take)
    streamed = stream.add(tmp_path / "take.wav", pause_s=0.8)
    streamed += stream.add(tmp_path / "take.wav", pause_s=0.0, is_last=True) + stream.end()
    steps = torch.frombuffer(bytearray(streamed), dtype=torch.int16) / 32_768
    for wave in (joined, steps):
        assert len(wave) / RATE == pytest.approx(0.25 + 1 + 0.8 + 1 + 0.25, abs=TOLERANCE_S)
        assert silences(wave) == pytest.approx([0.8], abs=TOLERANCE_S)
    silent = Clip(wave=torch.zeros(RATE), sample_rate=RATE)
    assert len(concatenate_clips([silent, silent], options, [0.0, 0.0]).wave) == 2 * RATE


FORGIVEN = {
    "a smiley": ("Hello there :] Good day.", "never opened"),
    "an open bracket": ("Hello [there. Good day.", "never closed"),
    "braces": ("{note: quiet} Hello there. Good day.", "read as plain text"),
    "laughter": ("Hello there.\n\n[laughs]\n\nGood day.", "Line 3: all of it is in brackets"),
    "dots": ("Hello there.\n\n...\n\nGood day.", "'...' has no letter or digit"),
    "ssml": ('Hello there. <prosody rate="slow">Good</prosody> day.', "is not supported"),
    "an override without text": (
        'Hello there.\n{"voice": "bob"}\nGood day.',
        "no text after the override",
    ),
    "empty lines": ("\n\nHello there.\n\n\n\nGood day.\n\n", ""),
}


@pytest.mark.parametrize("delimiter", ["", "\\n"])
@pytest.mark.parametrize("case", FORGIVEN)
def test_odd_text_fails_no_request(case: str, delimiter: str, speak: Speak) -> None:
    text, reason = FORGIVEN[case]
    FakeEngine.heard.clear()
    spoken = speak(text, delimiter=delimiter)
    heard = " ".join(FakeEngine.heard)
    assert "Hello" in heard and "day." in heard
    assert not {"[", "]", "<", "..."} & set(heard)
    warnings = " ".join(spoken.warnings)
    assert reason in warnings and ("Line " in warnings or not reason)
    shown = preview(
        PreviewRequest(text=text, voice="alice", delivery=OutputOptions(delimiter=delimiter)),
        layout_of(spoken),
    )
    assert shown.speakable and " ".join(shown.notices) == warnings


@pytest.mark.parametrize("text", ["[laughs]", "[laughs]\n\n[sighs]", "<prosody>...</prosody> [x]"])
def test_a_text_of_nothing_else_is_refused_with_the_reason(text: str, speak: Speak) -> None:
    with pytest.raises(AppError, match=r"nothing to speak.*Line 1") as refusal:
        speak(text)
    assert refusal.value.__cause__ is not None


def test_options_that_are_meant_are_still_checked(speak: Speak) -> None:
    for text in ('{"voice": "carol"} Hi.', "{voice: bob} Hi.", "{temprature: 1} Hi."):
        with pytest.raises(AppError, match="Line 1"):
            speak(text)
