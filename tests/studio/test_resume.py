"""A request that was cut off goes on at its next unspoken line, and nothing can be told apart."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.protocols import SynthesisWarning
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import reserve_output_path
from studio.synthesis.planning import derive_chunk_seed
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.workers.synthesis.synthesizer import Synthesizer
from support.fake_engine import FakeEngine
from support.tiny_bundle import make_tiny_bundle

TEXT = "This is the first of them.\nAnd the second.\n[hush] And a third.\nThe last."
LINES = 4


@pytest.fixture
def ask(layout: ProjectPaths, tmp_path: Path) -> Callable[..., SpeechRequest]:
    def request(name: str, *, bundle: str = "starter", **turned: Any) -> SpeechRequest:
        wish = SpeechRequestInput(
            text=TEXT,
            voice="alice",
            out=str(tmp_path / name),
            options={"seed": 7, **turned},
            delivery={"delimiter": "\\n", "volume": 0.7, "emotion": "sad"},
            request_fields={"bundle": bundle},
        )
        return build_request(Settings(), wish, layout)

    return request


class Watched(ProgressReporter):
    """Hears every take, and stops after some."""

    def __init__(self, stop_after: int = 99, kept: list[Mapping[str, Any]] | None = None) -> None:
        self.takes: list[Mapping[str, Any]] = []
        super().__init__(self._hear, lambda: len(self.takes) >= stop_after, kept or [])

    def _hear(self, event: ProgressEvent) -> None:
        if event.kind == "take":
            assert Path(event.data["path"]).is_file()
            self.takes.append(event.data)


def cut_off(layout: ProjectPaths, request: SpeechRequest, after: int) -> list[Mapping[str, Any]]:
    report = Watched(stop_after=after)
    with pytest.raises(Cancelled):
        Synthesizer(layout).speak(request, report)
    assert not Path(str(request.out)).exists()
    return report.takes


def files(spoken: SpeechResult) -> list[torch.Tensor]:
    return [read_clip(Path(take.path)).wave for take in (*spoken.candidates, *spoken.lines)]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_what_was_cut_off_sounds_like_what_was_not(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], suffix: str
) -> None:
    whole = Synthesizer(layout).speak(ask(f"whole.{suffix}", candidates=2), ProgressReporter())
    FakeEngine.heard.clear()
    request = ask(f"cut.{suffix}", candidates=2)
    before = cut_off(layout, request, after=2)
    assert [take["index"] for take in before] == [0, 1] and len(FakeEngine.heard) == 2
    report = Watched(kept=before)
    again = Synthesizer(layout).speak(request, report)
    assert len(FakeEngine.heard) == LINES
    assert [take["index"] for take in report.takes] == [2, 3]
    assert len(again.candidates) == 2 and len(again.lines) == LINES
    assert equal(files(whole), files(again))
    assert again.heard == whole.heard and again.warnings == whole.warnings


@pytest.mark.thorough
def test_the_real_engine_goes_on_bit_for_bit(
    layout: ProjectPaths,
    ask: Callable[..., SpeechRequest],
    monkeypatch: pytest.MonkeyPatch,
    real_engines: object,
) -> None:
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)
    make_tiny_bundle(layout.models / "tiny", seed=0)
    quick = {"samples": 3, "iterations": 2, "candidates": 2, "bundle": "tiny"}
    whole = Synthesizer(layout).speak(ask("whole.wav", **quick), ProgressReporter())
    request = ask("cut.wav", **quick)
    before = cut_off(layout, request, after=2)
    again = Synthesizer(layout).speak(request, ProgressReporter(kept=before))
    assert len(again.lines) == LINES and equal(files(whole), files(again))
    assert [take.score for take in again.lines] == [take.score for take in whole.lines]


def test_takes_tell_what_the_page_shows(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest]
) -> None:
    report = Watched()
    Synthesizer(layout).speak(ask("a.wav", candidates=2), report)
    take = report.takes[2]
    assert (take["index"], take["text"], take["voice"]) == (2, "And a third.", "alice")
    assert take["seed"] == derive_chunk_seed(7, 2) and take["seconds"] > 0.3
    assert [Path(one["path"]).name for one in take["candidates"]] == [
        "003.wav",
        "003.candidate-2.wav",
    ]
    assert [one["score"] for one in take["candidates"]] == [1.0, 0.9]
    assert take["path"] == take["candidates"][0]["path"] and take["score"] == 1.0


def test_a_text_of_one_piece_tells_its_take_too(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], tmp_path: Path
) -> None:
    report = Watched()
    request = replace(ask("one.wav", candidates=2), text="Just this.")
    spoken = Synthesizer(layout).speak(request, report)
    (take,) = report.takes
    assert take["path"] == spoken.path and len(take["candidates"]) == 2
    assert not list(tmp_path.glob("one.lines"))


@pytest.mark.parametrize("what", ["the seed", "the voice", "the weights", "the text"])
def test_lines_that_would_be_others_now_are_spoken_again(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], what: str
) -> None:
    request = ask("a.wav")
    kept = cut_off(layout, request, after=2)
    FakeEngine.heard.clear()
    if what == "the seed":
        request = ask("a.wav", seed=8)
    elif what == "the text":
        request = replace(request, text="Another.\nText.")
    elif what == "the voice":
        (layout.voices / "alice" / "two.wav").unlink()
    else:
        (layout.models / "starter" / "weights").write_bytes(b"other numbers")
    spoken = Synthesizer(layout).speak(request, ProgressReporter(kept=kept))
    assert len(FakeEngine.heard) == len(spoken.lines) == (2 if what == "the text" else LINES)


def test_a_damaged_take_is_spoken_again(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], tmp_path: Path
) -> None:
    whole = Synthesizer(layout).speak(ask("whole.wav"), ProgressReporter())
    kept = cut_off(layout, ask("cut.wav"), after=2)
    (tmp_path / "cut.lines" / "001.wav").write_bytes(b"RIFF")
    FakeEngine.heard.clear()
    again = Synthesizer(layout).speak(ask("cut.wav"), ProgressReporter(kept=kept))
    assert len(FakeEngine.heard) == 3
    assert torch.equal(read_clip(Path(whole.path)).wave, read_clip(Path(again.path)).wave)


def test_a_finished_clip_is_spoken_anew_when_it_is_asked_for_again(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest]
) -> None:
    for _ in range(2):
        Synthesizer(layout).speak(ask("a.wav"), ProgressReporter())
    assert len(FakeEngine.heard) == 2 * LINES
    kept = [{"index": 0, "path": "somewhere"}]  # cut off after the clip, before the job was over
    Synthesizer(layout).speak(ask("a.wav"), ProgressReporter(kept=kept))
    assert len(FakeEngine.heard) == 2 * LINES


def test_what_could_not_be_spoken_leaves_no_folder(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> list[object]:
        raise FloatingPointError("the GPT produced NaN or infinite values.")

    monkeypatch.setattr(FakeEngine, "synthesize", fail)
    request = replace(ask("a.wav"), out=None)
    with pytest.raises(AppError, match=r"Chunk 1 could not be spoken: the GPT .*Turn half"):
        Synthesizer(layout).speak(request, ProgressReporter())
    assert list((layout.results / "alice").iterdir()) == []


def test_a_warning_about_memory_is_reported_once(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = FakeEngine.synthesize
    samples = []

    def short_of_memory(
        self: FakeEngine, text: str, speaker: Any, options: Any, report: ProgressReporter
    ) -> Any:
        samples.append(options.samples)
        warning = SynthesisWarning(message=f"Memory ran out {len(samples)} times.", topic="memory")
        output = spoken(self, text, speaker, options, report)
        return replace(output, warnings=(warning,), resolved_options={"samples": 2})

    monkeypatch.setattr(FakeEngine, "synthesize", short_of_memory)
    told: list[ProgressEvent] = []
    spoken_clip = Synthesizer(layout).speak(ask("a.wav"), ProgressReporter(told.append))
    warnings = [event.message for event in told if event.kind == "warning"]
    assert warnings == ["Memory ran out 1 times."] == list(spoken_clip.warnings)
    assert samples == [4, 2, 2, 2]  # what fitted once is not tried larger again
    assert read_metadata(Path(spoken_clip.path)).options["samples"] == 2


def test_the_command_line_tells_how_to_go_on(
    layout: ProjectPaths,
    testudo: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoken = FakeEngine.synthesize
    command = (
        "speak",
        "One. Two.\nThree.",
        "--voice",
        "alice",
        "--delimiter",
        "\\n",
        "--volume",
        "2",
    )

    def stop_at_the_second(self: FakeEngine, text: str, *rest: Any) -> Any:
        if text == "Three.":
            raise KeyboardInterrupt
        return spoken(self, text, *rest)

    with monkeypatch.context() as stopping:
        stopping.setattr(FakeEngine, "synthesize", stop_at_the_second)
        code, _, err = testudo(*command)
    assert code == 130 and "To resume: the same command with --seed" in err
    flags = shlex.split(err.splitlines()[0].partition("with ")[2])
    FakeEngine.heard.clear()
    code, out, err = testudo(*command, *flags)
    assert (code, err) == (0, "") and FakeEngine.heard == ["Three."] and "00001-one-two" in out


@pytest.mark.parametrize("refused", [{"voice": "nobody"}, {"bundle": "none"}])
def test_a_name_that_was_reserved_is_given_back_when_the_request_is_refused(
    layout: ProjectPaths, ask: Callable[..., SpeechRequest], refused: dict[str, Any]
) -> None:
    destination = reserve_output_path(layout, "alice", TEXT, "wav")
    request = replace(ask("a.wav"), out=str(destination.clip_path), **refused)
    with pytest.raises(AppError):
        Synthesizer(layout).speak(request, ProgressReporter())
    assert not destination.lines_folder.exists()
