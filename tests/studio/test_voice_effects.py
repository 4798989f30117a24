"""A voice keeps a chain of effects, and every clip that it speaks has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from audio.clip import Clip
from audio.effects.chain import apply_effects
from audio.effects.options import EffectOptions
from audio.io import ClipLimits, read_clip
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import from_dict, to_dict
from studio.archives.voice_zip import export_voice, import_voice_zip
from studio.schemas.clip_tools import NO_EFFECTS, PreviewVoiceEffectsRequest, merge_effects
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_edits import EditedLine, EditLinesRequest
from studio.synthesis.output_paths import get_clip_name
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    add_voice_effects,
    build_request,
    build_request_from_metadata,
)
from studio.synthesis.retake import RegenerateLineRequest, RejoinClipRequest
from studio.synthesis.stream_mixer import StreamMixer
from studio.voices.effects import read_voice_effects, write_voice_effects
from studio.voices.tags import write_tags
from studio.voices.voice_file import VOICE_FILE
from studio.workers.apply_effects import preview_voice_effects_task
from studio.workers.context import WorkerContext
from studio.workers.retake import edit_lines_task, regenerate_line_task, rejoin_clip_task
from support.fake_engine import FakeEngine

TELEPHONE, DEEP, HALL = (merge_effects(name, {}) for name in ("telephone", "deep", "hall"))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


def request_for(workshop: WorkerContext, text: str, **fields: Any) -> SpeechRequest:
    given = {"voice": "alice", "options": {"seed": 7}, "delivery": {"delimiter": "\\n"}}
    wish = SpeechRequestInput(text=text, **{**given, **fields})
    return build_request(Settings(), wish, workshop.layout)


def speak(workshop: WorkerContext, text: str, **fields: Any) -> SpeechResult:
    request = request_for(workshop, text, **fields)
    assert from_dict(SpeechRequest, to_dict(request)) == request  # crosses to the worker
    return workshop.synthesizer.speak(request, ProgressReporter())


def keep(workshop: WorkerContext, voice: str, options: EffectOptions) -> None:
    write_voice_effects(workshop.layout.voices / voice, options)


def read(path: str | Path) -> Clip:
    return read_clip(Path(path), ClipLimits(shortest_s=0.0))


def wave(path: str | Path) -> torch.Tensor:
    return read(path).wave


def with_effects(dry: str | Path, options: EffectOptions) -> torch.Tensor:
    return apply_effects(read(dry), options, ProgressReporter()).wave


def assert_same_sound(one: torch.Tensor, other: torch.Tensor) -> None:
    """As 16-bit files: one was rounded before the effects."""
    assert len(one) == len(other) and float((one - other).abs().max()) < 2e-3


def test_each_clip_of_the_voice_has_its_effects_and_the_recordings_stay(
    workshop: WorkerContext,
) -> None:
    voice = workshop.layout.voices / "alice"
    recordings = {path.name: path.read_bytes() for path in voice.glob("*.wav")}
    dry = speak(workshop, "One two three.")
    keep(workshop, "alice", TELEPHONE)
    wet = speak(workshop, "One two three.")
    assert_same_sound(wave(wet.path), with_effects(dry.path, TELEPHONE))
    assert torch.equal(wave(wet.path), wave(speak(workshop, "One two three.").path))
    record = read_metadata(Path(wet.path))
    assert record.voice_effects == {"alice": {"band": "telephone", "compression": 4.0}}
    assert record.effects == () and record.source == ""
    assert {path.name: path.read_bytes() for path in voice.glob("*.wav")} == recordings
    keep(workshop, "alice", NO_EFFECTS)
    again = speak(workshop, "One two three.")
    assert torch.equal(wave(again.path), wave(dry.path))
    assert read_metadata(Path(again.path)).voice_effects == {}
    assert not (voice / VOICE_FILE).exists()


def test_each_voice_of_a_script_has_its_own_effects(workshop: WorkerContext) -> None:
    text = 'Alice: One two.\nBob: Three four.\n{"voice": "bob"} Five.\nAlice: Six.'
    fields = {"request_fields": {"speaker_voices": {"Alice": "alice", "Bob": "bob"}}}
    dry = speak(workshop, text, **fields)
    keep(workshop, "bob", TELEPHONE)
    wet = speak(workshop, text, **fields)
    assert read_metadata(Path(wet.path)).voice_effects == {
        "bob": {"band": "telephone", "compression": 4.0}
    }
    for number, (before, after) in enumerate(zip(dry.lines, wet.lines, strict=True)):
        if number in (1, 2):
            assert_same_sound(wave(after.path), with_effects(before.path, TELEPHONE))
        else:
            assert torch.equal(wave(after.path), wave(before.path))


def test_a_blend_and_a_random_voice_have_none(workshop: WorkerContext) -> None:
    keep(workshop, "alice", TELEPHONE)
    for voice in ("alice:0.5+bob:0.5", "random"):
        assert request_for(workshop, "One.", voice=voice).voice_effects == {}
    assert list(request_for(workshop, "One.", voice="alice:0.5").voice_effects) == ["alice:0.5"]


def test_a_clip_is_spoken_again_with_the_effects_of_its_day(
    workshop: WorkerContext, tmp_path: Path
) -> None:
    keep(workshop, "alice", DEEP)
    first = speak(workshop, "One two.\nThree.")
    keep(workshop, "alice", TELEPHONE)
    keep(workshop, "bob", HALL)
    record = read_metadata(Path(first.path))

    def again(**given: Any) -> SpeechRequest:
        wish = SpeechRequestInput(out=str(tmp_path / "again.wav"), **given)
        request = build_request_from_metadata(Settings(), record, wish)
        return add_voice_effects(workshop.layout, request, record)

    twin = workshop.synthesizer.speak(again(), ProgressReporter())
    assert torch.equal(wave(twin.path), wave(first.path))
    assert dict(again(voice="bob").voice_effects["bob"]) == {"reverb": 0.35, "reverb_s": 2.2}


def test_a_line_anew_keeps_the_effects_of_the_clip_and_a_new_voice_brings_its_own(
    workshop: WorkerContext,
) -> None:
    keep(workshop, "alice", TELEPHONE)
    spoken = speak(workshop, "One two.\nThree four.")
    keep(workshop, "alice", NO_EFFECTS)
    dry = speak(workshop, "One two.\nThree four.")
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    seed = read_metadata(Path(dry.lines[1].path)).seed

    def redo(**changes: Any) -> SpeechResult:
        request = RegenerateLineRequest(clip=clip, line=1, **changes)
        return regenerate_line_task(workshop, request, ProgressReporter())

    assert_same_sound(
        wave(redo(seed=seed).lines[1].path), with_effects(dry.lines[1].path, TELEPHONE)
    )
    keep(workshop, "bob", DEEP)
    other = redo(seed=seed, voice="bob")
    keep(workshop, "bob", NO_EFFECTS)
    plain = speak(workshop, "One two.\nThree four.", voice="bob")
    assert_same_sound(wave(other.lines[1].path), with_effects(plain.lines[1].path, DEEP))
    assert read_metadata(Path(other.path)).voice_effects == {
        "alice": {"band": "telephone", "compression": 4.0},
        "bob": {"pitch": -3.0, "bass": 3.0},
    }
    FakeEngine.heard.clear()
    back = rejoin_clip_task(
        workshop, RejoinClipRequest(clip=clip, takes={"1": "002.wav"}), ProgressReporter()
    )
    assert torch.equal(wave(back.path), wave(spoken.path)) and FakeEngine.heard == []


def test_a_clip_of_one_line_and_edited_lines_keep_them_too(workshop: WorkerContext) -> None:
    keep(workshop, "alice", TELEPHONE)
    spoken = speak(workshop, "One two three.")
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    redone = regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=0, seed=7), ProgressReporter()
    )
    assert_same_sound(wave(redone.path), wave(spoken.path))
    lines = speak(workshop, "One.\nTwo.")
    clip = get_clip_name(workshop.layout, Path(lines.path))
    rows = (EditedLine(source=0), EditedLine(source=1, text="Three four."))
    edited = edit_lines_task(workshop, EditLinesRequest(clip=clip, lines=rows), ProgressReporter())
    seed = read_metadata(Path(edited.lines[1].path)).seed
    keep(workshop, "alice", NO_EFFECTS)
    dry = speak(workshop, "Three four.", options={"seed": seed})
    assert_same_sound(wave(edited.lines[1].path), with_effects(dry.path, TELEPHONE))


def test_a_stream_has_them_line_by_line(workshop: WorkerContext) -> None:
    keep(workshop, "alice", HALL)
    events: list[Any] = []
    request = request_for(workshop, "One two.\nThree.")
    spoken = workshop.synthesizer.speak(request, ProgressReporter(events.append))
    mixer = StreamMixer("pcm", pause_s=0.3, fade_ms=5)
    takes = [event.data for event in events if event.kind == "take"]
    sent = b"".join(mixer.add_take(take) for take in takes) + mixer.end()
    assert len(takes) == 2 and len(sent) == 2 * len(wave(spoken.path))


def test_a_line_with_an_exact_length_keeps_it(workshop: WorkerContext) -> None:
    keep(workshop, "alice", HALL)
    spoken = speak(workshop, "[duration:2.0s] One two.\nThree.")
    assert len(wave(spoken.lines[0].path)) == 2 * 24_000
    assert len(wave(spoken.lines[1].path)) > 2 * 24_000  # with its reverberation


def test_a_stopped_job_goes_on_with_the_effects_that_it_began_with(
    workshop: WorkerContext, tmp_path: Path
) -> None:
    keep(workshop, "alice", TELEPHONE)
    request = replace(request_for(workshop, "One.\nTwo."), out=str(tmp_path / "a.wav"))
    first = workshop.synthesizer.speak(request, ProgressReporter())
    whole = wave(first.path)
    keep(workshop, "alice", NO_EFFECTS)
    FakeEngine.heard.clear()
    kept = [{"index": 0, "path": first.lines[0].path}]
    again = workshop.synthesizer.speak(request, ProgressReporter(kept=kept))
    assert FakeEngine.heard == [] and torch.equal(wave(again.path), whole)
    workshop.synthesizer.speak(replace(request, voice_effects={}), ProgressReporter(kept=kept))
    assert FakeEngine.heard == ["One.", "Two."]  # takes with other effects are not used


def test_a_voice_travels_with_its_effects_and_keeps_its_tags(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    folder = layout.voices / "alice"
    write_tags(folder, ["calm"])
    write_voice_effects(folder, HALL)
    assert yaml.safe_load((folder / VOICE_FILE).read_text()) == {
        "tags": ["calm"],
        "effects": {"reverb": 0.35, "reverb_s": 2.2},
    }
    twin = import_voice_zip(layout, export_voice(layout, "alice", tmp_path), "twin")
    assert read_voice_effects(twin.folder) == HALL and twin.tags == ("calm",)
    write_voice_effects(folder, NO_EFFECTS)
    assert yaml.safe_load((folder / VOICE_FILE).read_text()) == {"tags": ["calm"]}


@pytest.mark.parametrize("content", ["effects: 5", "effects: {pitch: 99}", "effects: {echo: 1}"])
def test_a_damaged_file_is_as_good_as_none(layout: ProjectPaths, content: str) -> None:
    (layout.voices / "alice" / VOICE_FILE).write_text(content)
    assert read_voice_effects(layout.voices / "alice") == NO_EFFECTS


def test_a_preview_is_a_recording_of_the_voice_with_the_effects(workshop: WorkerContext) -> None:
    request = PreviewVoiceEffectsRequest(voice="alice", options=TELEPHONE)
    made = preview_voice_effects_task(workshop, request, ProgressReporter())
    source = workshop.layout.voices / "alice" / "one.wav"
    assert Path(made.source) == source and made.preview
    assert_same_sound(wave(made.path), with_effects(source, TELEPHONE))
    assert not list(workshop.layout.results.rglob("*.wav"))
    assert read_voice_effects(source.parent) == NO_EFFECTS
    with pytest.raises(ValueError, match="No effect is turned on"):
        PreviewVoiceEffectsRequest(voice="alice")


def test_a_voice_without_recordings_speaks_a_sentence_for_the_preview(
    workshop: WorkerContext, testudo: Run
) -> None:
    assert testudo("voices", "keep-random", "mia", "--seed", "3")[0] == 0
    request = PreviewVoiceEffectsRequest(voice="mia", options=DEEP)
    made = preview_voice_effects_task(workshop, request, ProgressReporter())
    assert_same_sound(wave(made.path), with_effects(made.source, DEEP))
    assert not list(workshop.layout.results.rglob("*.wav"))


def test_the_command_line_sets_shows_and_removes_effects(
    testudo: Run, layout: ProjectPaths
) -> None:
    assert testudo("voices", "effects", "alice")[1].strip() == "alice: no effects"
    code, told, _ = testudo("voices", "effects", "alice", "--preset", "deep", "--reverb", "0.2")
    assert code == 0 and told.strip() == "alice: pitch -3.0, bass 3.0, reverb 0.2"
    kept = json.loads(testudo("voices", "effects", "alice", "--json")[1])
    assert kept == {"voice": "alice", "effects": {"pitch": -3.0, "bass": 3.0, "reverb": 0.2}}
    assert testudo("speak", "One two.", "--voice", "alice", "--seed", "7")[0] == 0
    (clip,) = layout.results.rglob("*.wav")
    told = testudo("read", str(clip))[1]
    assert "voice effects  alice: pitch -3.0, bass 3.0, reverb 0.2" in told
    assert testudo("voices", "effects", "alice", "--preset", "tin")[0] == 2
    assert testudo("voices", "effects", "alice", "--clear")[1].strip() == "alice: no effects"
    assert testudo("voices", "effects", "nobody")[0] == 2
