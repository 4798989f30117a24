"""When words are spoken: told by the engine, found by an aligner, kept, and put into subtitles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.protocols import SpeechCandidate
from engines.speaker_latents import SpeakerLatents
from studio.history.service import History
from studio.schemas.settings import Settings
from studio.schemas.take_metadata import from_json, to_json
from studio.subtitles.cues import format_subtitles, list_word_cues
from studio.subtitles.word_times import LocateWordsRequest, list_clip_words
from studio.synthesis.audio_metadata import get_words_path, read_metadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.synthesis.retake import RegenerateLineRequest
from studio.workers.context import WorkerContext, synthesize_speech_task
from studio.workers.retake import regenerate_line_task
from studio.workers.synthesis import word_times
from studio.workers.synthesis.word_times import align_text, locate_words_task
from support.fake_engine import RATE, WORD_S, FakeEngine
from training.asr.base import Word
from training.asr.forced_alignment import WordAlignment

SILENCE_S = 0.1  # before and behind what the engine below says
TEXT = "One line.\nTwo more lines.\nThree - or 4."


@pytest.fixture
def context(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


class TellingEngine(FakeEngine):
    """Knows when it says a word, and is silent at both ends."""

    def locate_words(
        self, words: Sequence[str], candidate: SpeechCandidate
    ) -> list[tuple[float, float]]:
        return [
            (SILENCE_S + WORD_S * number, SILENCE_S + WORD_S * (number + 1))
            for number in range(len(words))
        ]

    def _hum(self, text: str, speaker: SpeakerLatents, generator: torch.Generator) -> Clip:
        clip = super()._hum(text, speaker, generator)
        silence = torch.zeros(round(SILENCE_S * RATE))
        return replace(clip, wave=torch.cat([silence, clip.wave, silence]))


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry knows an engine that tells when it says a word."""
    monkeypatch.setattr("support.fake_engine.FakeEngine", TellingEngine)


def speak(context: WorkerContext, text: str, **delivery: object) -> tuple[str, Path]:
    """Speak a text with alice; returns the ref of the clip and its path."""
    asked = SpeechRequestInput(text=text, voice="alice", delivery=delivery)
    request = build_request(context.settings, asked, context.layout)
    clip = Path(synthesize_speech_task(context, request, ProgressReporter()).path)
    return clip.relative_to(context.layout.results).as_posix(), clip


def lines_of(clip: Path) -> LineTakesFile:
    lines = read_line_takes(OutputPath(clip_path=clip))
    assert lines is not None
    return lines


@pytest.mark.usefixtures("telling")
def test_lines_begin_and_words_are_spoken_where_they_are_heard(context: WorkerContext) -> None:
    ref, clip = speak(context, TEXT, pause_s=0.5, delimiter="\\n")
    found = list_clip_words(context.layout, ref, None)
    assert [word.text for line in found for word in line.words] == TEXT.split()
    wave = read_clip(clip).wave
    for line in found:
        assert line.words[-1].end <= line.end + 1e-6
        for word in line.words:
            part = wave[round(word.start * RATE) + 48 : round(word.end * RATE) - 48]
            assert float(part.abs().max()) > 0.1, word  # 48: fades and rounding
    for one, later in pairwise(found):
        pause = wave[round(one.words[-1].end * RATE) + 48 : round(later.words[0].start * RATE) - 48]
        assert later.start - one.end == pytest.approx(0.5, abs=0.01)
        assert float(pause.abs().max()) < 0.01
    assert found[-1].end == pytest.approx(read_clip(clip).duration_s, abs=0.01)


@pytest.mark.usefixtures("telling")
def test_the_metadata_have_the_words_and_travel_as_json(context: WorkerContext) -> None:
    ref, clip = speak(context, "Only four words here.")
    record = read_metadata(clip)
    assert record.heard == "Only four words here." and len(record.word_times) == 8
    assert from_json(to_json(record), "a test") == record
    (line,) = list_clip_words(context.layout, ref, record)
    assert line.words[1].start == pytest.approx(SILENCE_S + WORD_S)
    _, joined = speak(context, TEXT, delimiter="\\n")
    assert read_metadata(joined).word_times[0] == pytest.approx(SILENCE_S)
    assert len(read_metadata(joined).word_times) == 2 * len(TEXT.split())


@pytest.mark.usefixtures("telling")
def test_a_regenerated_line_has_the_times_of_its_new_words(context: WorkerContext) -> None:
    ref, clip = speak(context, TEXT, delimiter="\\n")
    request = RegenerateLineRequest(clip=ref, line=0, text="Now there are five words.", seed=3)
    regenerate_line_task(context, request, ProgressReporter())
    words = list_clip_words(context.layout, ref, None)
    assert [word.text for word in words[0].words] == ["Now", "there", "are", "five", "words."]
    assert words[1].words[0].start == pytest.approx(words[1].start, abs=0.002)
    assert len(read_metadata(clip).word_times) == 2 * (5 + len(TEXT.split()) - 2)


def test_an_engine_that_does_not_know_leaves_words_without_times(context: WorkerContext) -> None:
    ref, clip = speak(context, TEXT, delimiter="\\n")
    assert not any(line.words for line in list_clip_words(context.layout, ref, None))
    assert "word_times" not in to_json(read_metadata(clip))


@pytest.mark.usefixtures("telling")
def test_a_prompt_that_is_cut_out_leaves_no_times(context: WorkerContext) -> None:
    ref, _ = speak(context, "[I am sad,] please feed me.")
    history = History.open(context.layout)
    history.scan(ProgressReporter())
    (line,) = history.list_words(ref)
    assert line.text == "please feed me." and line.words == ()


def evenly(wave: Tensor, text: str) -> WordAlignment | None:
    """Stands for an aligner: words of one length, marks joined to the word before them."""
    if "mumble" in text:
        return None
    words, length = list[Word](), len(wave) / 16_000 / len(text.split())
    for number, word in enumerate(text.split()):
        if word == "-":
            words[-1] = replace(words[-1], text=f"{words[-1].text} -")
            continue
        words.append(Word(text=word, start_s=number * length, stop_s=(number + 1) * length))
    return WordAlignment(words=tuple(words), unaligned_speech_s=0.0)


@pytest.fixture
def aligner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_times, "find_aligner", lambda text, language, models: evenly)


@pytest.mark.usefixtures("aligner")
def test_an_aligner_finds_the_words_of_lines_once(context: WorkerContext) -> None:
    ref, clip = speak(context, TEXT, delimiter="\\n")
    done = locate_words_task(context, LocateWordsRequest(clip=ref), ProgressReporter())
    assert (done.located, done.next_line, done.failed) == (3, -1, ())
    found = list_clip_words(context.layout, ref, None)
    assert [word.text for line in found for word in line.words] == TEXT.split()
    again = locate_words_task(context, LocateWordsRequest(clip=ref), ProgressReporter())
    assert again.located == 0 and lines_of(clip).lines[0].takes[0].audible is not None


@pytest.mark.usefixtures("aligner")
def test_a_job_ends_after_a_while_and_names_the_next_line(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, _ = speak(context, TEXT, delimiter="\\n")
    monkeypatch.setattr(word_times, "MAX_SOUND_S", 0.1)
    first = locate_words_task(context, LocateWordsRequest(clip=ref), ProgressReporter())
    assert (first.located, first.next_line) == (1, 1)
    request = LocateWordsRequest(clip=ref, line=first.next_line)
    assert locate_words_task(context, request, ProgressReporter()).next_line == 2


@pytest.mark.usefixtures("aligner")
def test_words_of_one_line_are_kept_beside_the_clip_until_it_changes(
    context: WorkerContext,
) -> None:
    ref, clip = speak(context, "Some words - here.")
    done = locate_words_task(context, LocateWordsRequest(clip=ref), ProgressReporter())
    assert done.located == 1 and get_words_path(clip).is_file()
    history = History.open(context.layout)
    history.scan(ProgressReporter())
    assert [word.text for word in history.list_words(ref)[0].words] == [
        "Some",
        "words",
        "-",
        "here.",
    ]
    moved = history.rename(ref, "other")
    assert history.list_words(moved)[0].words  # the file went with the clip
    write_clip(context.layout.results / moved, Clip(wave=torch.rand(9_000), sample_rate=RATE))
    assert not list_clip_words(context.layout, moved, read_record())[0].words


def read_record() -> object:
    from studio.schemas.take_metadata import TakeMetadata

    return TakeMetadata(
        text="x", voice="a", engine="e", bundle="b", weights_id="", seed=1, options={},
        delivery={}, duration_s=1.0,
    )  # fmt: skip


@pytest.mark.usefixtures("aligner")
def test_a_line_that_cannot_be_aligned_is_named(context: WorkerContext) -> None:
    ref, _ = speak(context, "One.\nmumble it.", delimiter="\\n")
    done = locate_words_task(context, LocateWordsRequest(clip=ref), ProgressReporter())
    assert (done.located, done.failed) == (1, (1,))


@pytest.mark.usefixtures("aligner")
def test_phonemes_are_aligned_as_one_word(tmp_path: Path) -> None:
    clip = Clip(wave=torch.rand(RATE), sample_rate=RATE)
    assert len(align_text(clip, "Say {HH AH0 L OW1}, twice.", tmp_path)) == 6
    assert align_text(clip, "mumble", tmp_path) == ()


@pytest.mark.usefixtures("telling")
def test_webvtt_has_a_time_before_each_word(context: WorkerContext) -> None:
    text = " ".join(f"word{number}" for number in range(30))
    ref, _ = speak(context, text)
    history = History.open(context.layout)
    history.scan(ProgressReporter())
    cues = history.list_cues(ref, words=True)
    assert max(len(row) for cue in cues for row in cue.text.split("\n")) <= 42
    assert " ".join(" ".join(cue.text.split()) for cue in cues) == text
    vtt = format_subtitles(cues, "vtt")
    assert "<00:00:00.300>word1" in vtt
    for block in vtt.split("\n\n")[1:]:
        begin, end = re.findall(r"[\d:.]{12}", block.split("\n")[1])
        stamps = re.findall(r"<([\d:.]+)>", block)
        assert [begin, *stamps, end] == sorted({begin, *stamps, end})
    srt = format_subtitles(history.list_cues(ref), "srt")
    assert "<" not in srt and "<" not in format_subtitles(cues, "srt")


def test_subtitles_with_words_need_words(context: WorkerContext) -> None:
    ref, _ = speak(context, TEXT, delimiter="\\n")
    with pytest.raises(Exception, match="not known yet when the words"):
        list_word_cues(list_clip_words(context.layout, ref, None))
