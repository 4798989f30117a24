"""One line of a clip is spoken anew, takes are chosen, and nothing that was spoken is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from core.serialization import from_dict, to_dict
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath, get_clip_name
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.synthesis.retake import RegenerateLineRequest, RejoinClipRequest
from studio.workers.context import WorkerContext
from studio.workers.retake import regenerate_line_task, rejoin_clip_task
from support.fake_engine import FakeEngine

Speak = Callable[..., SpeechResult]


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def speak(workshop: WorkerContext) -> Speak:
    def spoken(text: str = "One line.\nTwo lines.\nThree.", **turned: Any) -> SpeechResult:
        delivery = {"delimiter": "\\n", "volume": 0.7, "format": turned.pop("format", "wav")}
        options = {"seed": 7, "candidates": 2, **turned}
        wish = SpeechRequestInput(text=text, voice="alice", options=options, delivery=delivery)
        request = build_request(Settings(), wish, workshop.layout)
        return workshop.synthesizer.speak(request, ProgressReporter())

    return spoken


def name(workshop: WorkerContext, spoken: SpeechResult) -> str:
    return get_clip_name(workshop.layout, Path(spoken.path))


def lines_of(spoken: SpeechResult) -> LineTakesFile:
    found = read_line_takes(OutputPath(clip_path=Path(spoken.path)))
    assert found is not None
    return found


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def wave(path: str | Path) -> torch.Tensor:
    return read_clip(Path(path)).wave


@pytest.mark.parametrize("format", ["wav", "opus"])
def test_a_line_is_spoken_anew_and_the_clip_joined_with_it(
    workshop: WorkerContext, speak: Speak, format: str
) -> None:
    first = speak(format=format)
    before = {path: path.read_bytes() for path in Path(first.path).parent.rglob("0*.[wof]*")}
    old = wave(first.path)
    FakeEngine.heard.clear()
    events: list[ProgressEvent] = []
    clip = name(workshop, first)
    again = regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=1, seed=50), ProgressReporter(events.append)
    )
    assert FakeEngine.heard == ["Two lines."] and again.path == first.path
    assert Path(again.lines[1].path).stem == "002.candidate-3"
    lost = [path for path, held in before.items() if path.is_file() and path.read_bytes() != held]
    assert lost in ([], [Path(first.path)]) and all(path.is_file() for path in before)
    assert not torch.equal(old, wave(again.path)) and len(old) == len(wave(again.path))
    (take,) = [event.data for event in events if event.kind == "take"]
    assert take["index"] == 1 and take["seed"] == 50 and len(take["candidates"]) == 2
    assert read_metadata(Path(again.path)).redone[0].index == 1


def test_an_older_take_is_chosen_and_the_clip_is_as_it_was(
    workshop: WorkerContext, speak: Speak
) -> None:
    first = speak()
    old, clip = wave(first.path), name(workshop, first)
    regenerate_line_task(workshop, RegenerateLineRequest(clip=clip, line=1), ProgressReporter())
    FakeEngine.heard.clear()
    back = rejoin_clip_task(
        workshop, RejoinClipRequest(clip=clip, takes={"1": "002.wav"}), ProgressReporter()
    )
    assert torch.equal(old, wave(back.path)) and FakeEngine.heard == []
    assert read_metadata(Path(back.path)).redone == ()
    other = rejoin_clip_task(
        workshop,
        RejoinClipRequest(clip=clip, takes={"0": "001.candidate-2.wav"}),
        ProgressReporter(),
    )
    assert not torch.equal(old, wave(other.path))
    assert lines_of(other).lines[0].chosen == "001.candidate-2.wav"


def test_text_voice_and_options_of_a_line_can_differ(workshop: WorkerContext, speak: Speak) -> None:
    first = speak()
    request = RegenerateLineRequest(
        clip=name(workshop, first),
        line=2,
        text="[softly] Three and four.",
        voice="bob",
        options={"temperature": 0.3},
    )
    again = regenerate_line_task(workshop, request, ProgressReporter())
    assert FakeEngine.heard[-1] == "softly Three and four."
    assert again.heard == "One line. Two lines. Three and four."
    record = read_metadata(Path(again.lines[2].path))
    assert (record.voice, record.options["temperature"]) == ("bob", 0.3)
    assert record.text == "[softly] Three and four."


def test_a_clip_with_a_redone_line_is_reproduced_bit_for_bit(
    workshop: WorkerContext, speak: Speak, tmp_path: Path
) -> None:
    first = speak()
    clip = name(workshop, first)
    regenerate_line_task(
        workshop,
        RegenerateLineRequest(clip=clip, line=0, text="Another line.", seed=3),
        ProgressReporter(),
    )
    takes = {"1": "002.candidate-2.wav"}
    second = rejoin_clip_task(
        workshop, RejoinClipRequest(clip=clip, takes=takes), ProgressReporter()
    )
    record = read_metadata(Path(second.path))
    wish = SpeechRequestInput(out=str(tmp_path / "like.wav"))
    like = build_request_from_metadata(Settings(), record, wish)
    assert from_dict(type(like), to_dict(like)) == like
    third = workshop.synthesizer.speak(like, ProgressReporter())
    assert torch.equal(wave(second.path), wave(third.path))
    assert read_metadata(Path(third.path)).redone == record.redone
    other = workshop.synthesizer.speak(
        replace(build_request_from_metadata(Settings(), record, wish), text="One line.\nTwo."),
        ProgressReporter(),
    )
    assert read_metadata(Path(other.path)).redone == ()


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_a_clip_of_one_piece_keeps_its_first_take_byte_for_byte(
    workshop: WorkerContext, speak: Speak, format: str
) -> None:
    first = speak("Only this.", format=format)
    held, clip = Path(first.path).read_bytes(), name(workshop, first)
    again = regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=0, seed=11), ProgressReporter()
    )
    assert Path(again.path).read_bytes() != held
    twice = regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=0, seed=12), ProgressReporter()
    )
    assert len(lines_of(twice).lines[0].takes) == 6
    takes = {"0": f"001.{format}"}
    back = rejoin_clip_task(workshop, RejoinClipRequest(clip=clip, takes=takes), ProgressReporter())
    assert Path(back.path).read_bytes() == held


SLUG = "00001-one-line-two-lines-three"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a line that is not there": ({"line": 3}, "no line 4: the clip has 3"),
    "a path out of the results": ({"clip": "../voices/alice/one.wav"}, "no clip"),
    "an absolute path": ({"clip": "/etc/passwd.wav"}, "no clip"),
    "a name with a zero": ({"clip": "a\0.wav"}, "no clip"),
    "a take of a line": (
        {"clip": "alice/00001-one-line-two-lines-three.lines/001.wav"},
        "take of",
    ),
    "a knob out of range": ({"options": {"temperature": 9}}, "from 0.05 to 2.0"),
    "an unknown knob": ({"options": {"temprature": 1}}, "temperature"),
    "an unknown voice": ({"voice": "alicia"}, "Did you mean 'alice'"),
    "a text too long": ({"text": "word " * 200}, "Shorten it"),
    "a text without words": ({"text": "?!"}, "no letter or digit"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_redone_is_refused_and_changes_nothing(
    case: str, workshop: WorkerContext, speak: Speak
) -> None:
    first = speak()
    turned, reason = WRONG[case]
    before = everything(workshop.layout.results)
    with pytest.raises(AppError, match=reason):
        asked = {"clip": name(workshop, first), "line": 1, **turned}
        regenerate_line_task(workshop, RegenerateLineRequest(**asked), ProgressReporter())
    assert before == everything(workshop.layout.results)


def test_a_take_that_is_gone_or_unknown_is_refused(workshop: WorkerContext, speak: Speak) -> None:
    first = speak()
    clip = name(workshop, first)
    for takes, reason in (
        ({"0": "../one.wav"}, "no take"),
        ({"x": "001.wav"}, "not a line number"),
        ({"9": "001.wav"}, "no line 10"),
    ):
        with pytest.raises(AppError, match=reason):
            rejoin_clip_task(
                workshop, RejoinClipRequest(clip=clip, takes=takes), ProgressReporter()
            )
    Path(first.lines[1].path).unlink()
    with pytest.raises(AppError, match=r"002.wav of line 2 is missing"):
        rejoin_clip_task(workshop, RejoinClipRequest(clip=clip, takes={}), ProgressReporter())
    assert (
        regenerate_line_task(
            workshop, RegenerateLineRequest(clip=clip, line=1), ProgressReporter()
        ).path
        == first.path
    )


def test_a_clip_without_settings_cannot_be_redone(
    workshop: WorkerContext, layout: ProjectPaths, speak: Speak
) -> None:
    first = speak("Only this.")
    bare = layout.results / "alice" / "bare.wav"
    clip = read_clip(Path(first.path))
    from audio.io import write_clip

    write_clip(bare, clip)
    with pytest.raises(AppError, match="contains no settings"):
        regenerate_line_task(
            workshop, RegenerateLineRequest(clip="alice/bare.wav", line=0), ProgressReporter()
        )


def test_a_lines_file_that_was_tampered_with_counts_as_none(speak: Speak) -> None:
    spoken = speak()
    destination = OutputPath(clip_path=Path(spoken.path))
    path = destination.lines_folder / "lines.json"
    good = path.read_text()
    for bad in ("", "[]", "nul", good[:-5], good.replace("001.wav", "../001.wav"), "[" * 50_000):
        path.write_text(bad)
        assert read_line_takes(destination) is None
    path.write_text(good)
    assert read_line_takes(destination) is not None
