"""What is heard: in stretches cut in pauses, with the time of every word, stopped when asked."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audio.io import read_clip
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from support.whisper_helpers import write_whisper
from training.asr.base import SAMPLE_RATE, TranscribeError, TranscriberConfig
from training.asr.chunking import split_into_chunks
from training.asr.pocketsphinx import PocketSphinx
from training.asr.selection import (
    create_transcript_provider,
    load_transcriber,
    resolve_transcriber_name,
)
from training.asr.transcripts.discovery import ExistingTranscript
from training.asr.wer import compute_pocketsphinx_wer, normalize_to_words, word_error_rate

SPEECH = Path(__file__).resolve().parents[4] / "shared/speech"
HEARD = "what you can do for your country"  # without averaging first: "when you and you were"


@pytest.fixture(scope="module")
def recognizer() -> PocketSphinx:
    return PocketSphinx()


def voice(seconds: float) -> Tensor:
    """Something as loud as speech, that never pauses."""
    draw = torch.Generator().manual_seed(0)
    return 0.3 * torch.rand(int(seconds * SAMPLE_RATE), generator=draw) - 0.15


def silence(seconds: float) -> Tensor:
    return torch.zeros(int(seconds * SAMPLE_RATE))


def real_speech(name: str) -> Tensor:
    if not SPEECH.is_dir():
        pytest.skip("needs the real speech beside the repository")
    return read_clip(SPEECH / name).resample(SAMPLE_RATE).wave


# stretches


def test_speech_is_joined_as_far_as_it_fits_and_cut_in_its_pauses() -> None:
    wave = torch.cat([silence(1), voice(3), silence(1), voice(3), silence(1), voice(3)])
    first, second = split_into_chunks(wave, longest_s=8)
    assert first.start == pytest.approx(SAMPLE_RATE, abs=0.2 * SAMPLE_RATE)
    assert first.stop == pytest.approx(8 * SAMPLE_RATE, abs=0.2 * SAMPLE_RATE)
    assert second.start == pytest.approx(9 * SAMPLE_RATE, abs=0.2 * SAMPLE_RATE)


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    wave = voice(20)
    wave[int(8.5 * SAMPLE_RATE) : int(8.6 * SAMPLE_RATE)] *= 0.3
    first, second, *rest = split_into_chunks(wave, longest_s=10)
    assert first.stop == second.start == pytest.approx(8.55 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert all(span.stop - span.start <= 10 * SAMPLE_RATE for span in (first, second, *rest))
    assert first.start == 0 and rest[-1].stop == pytest.approx(len(wave), abs=0.02 * SAMPLE_RATE)


def test_silence_and_nothing_hold_no_speech() -> None:
    assert split_into_chunks(silence(3), 10) == [] == split_into_chunks(torch.zeros(0), 10)


# PocketSphinx


def test_pocketsphinx_hears_words_with_their_times_and_how_sure_it_is(
    recognizer: PocketSphinx,
) -> None:
    wave = real_speech("jfk/jfk.flac")[8 * SAMPLE_RATE :]
    transcript = recognizer.transcribe(torch.cat([silence(2), wave]), ProgressReporter())
    assert HEARD in transcript.text and transcript.language == "en"
    words = [word for segment in transcript.segments for word in segment.words]
    assert words[0].start_s > 2.0
    assert all(left.stop_s <= right.start_s for left, right in pairwise(words))
    assert words[-1].stop_s <= 2 + len(wave) / SAMPLE_RATE
    assert all(0 <= (segment.confidence or 0) <= 1 for segment in transcript.segments)
    country = next(word for word in words if word.text == "country")
    assert country.stop_s - country.start_s > 0.2
    assert not any("(" in word.text or "<" in word.text for word in words)


def test_pocketsphinx_hears_nothing_in_silence_and_in_a_tone(recognizer: PocketSphinx) -> None:
    assert recognizer.recognize_words(torch.zeros(0), ProgressReporter()) == []
    tone = 0.2 * torch.sin(torch.arange(2 * SAMPLE_RATE) * 2 * torch.pi * 440 / SAMPLE_RATE)
    assert recognizer.transcribe(silence(3), ProgressReporter()).segments == ()
    heard = recognizer.transcribe(tone, ProgressReporter())
    assert len(heard.text.split()) <= 3


def test_pocketsphinx_stops_within_a_stretch(recognizer: PocketSphinx) -> None:
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 4

    report = ProgressReporter(stopped=stopped)
    with pytest.raises(Cancelled):
        recognizer.transcribe(voice(600), report)
    assert looks == 5
    assert recognizer.transcribe(silence(1), ProgressReporter()).segments == ()  # and listens again


def test_pocketsphinx_refuses_other_languages() -> None:
    with pytest.raises(TranscribeError, match=r"supports English only, not 'de'.*Whisper.*\.txt"):
        PocketSphinx("de")


# doubt


def test_a_right_text_is_not_doubted_and_a_wrong_one_is() -> None:
    wave = real_speech("ljspeech/wavs/LJ001-0002.flac")
    right = compute_pocketsphinx_wer(wave, "in being comparatively modern.")
    wrong = compute_pocketsphinx_wer(wave, "The quick brown fox jumps over 13 lazy dogs.")
    assert right is not None and wrong is not None
    assert right < 0.75 < wrong <= 1.0


def test_too_few_words_and_too_long_clips_are_not_judged() -> None:
    assert compute_pocketsphinx_wer(voice(1), "Hello.") is None
    assert compute_pocketsphinx_wer(voice(60), "One two three four five.") is None


def test_numbers_count_as_they_are_spoken() -> None:
    assert normalize_to_words("Dr. Who's 21 well-known cats") == [
        *("doctor", "who's", "twenty", "one", "well", "known", "cats")
    ]
    assert word_error_rate(["a", "b", "c", "d"], ["a", "x", "c"]) == 0.5


# choosing


def heard_by(report: list[ProgressEvent]) -> str:
    return " ".join(event.message for event in report)


def test_auto_takes_whisper_where_a_model_is_here_and_says_plainly_where_none_is(
    tmp_path: Path,
) -> None:
    said: list[ProgressEvent] = []
    chosen = load_transcriber(TranscriberConfig(), tmp_path, ProgressReporter(said.append))
    assert chosen.name == "pocketsphinx en-us"
    assert "English only" in heard_by(said) and "The model base is better" in heard_by(said)
    write_whisper(tmp_path / "tiny.pt")
    assert (
        load_transcriber(TranscriberConfig(), tmp_path, ProgressReporter()).name == "whisper tiny"
    )


def test_auto_refuses_a_language_that_nothing_here_hears(tmp_path: Path) -> None:
    wish = TranscriberConfig(language="German")
    with pytest.raises(TranscribeError, match=r"English only, not 'German'") as refusal:
        load_transcriber(wish, tmp_path, ProgressReporter())
    assert "models download whisper-base" in refusal.value.cli_hint


def test_the_transcriber_is_named_without_loading_anything(tmp_path: Path) -> None:
    assert resolve_transcriber_name(TranscriberConfig(), tmp_path) == "pocketsphinx"
    assert (
        resolve_transcriber_name(
            TranscriberConfig(language="de", model="base", fetch=True), tmp_path
        )
        == "whisper"
    )
    (tmp_path / "base.en.pt").touch()
    assert resolve_transcriber_name(TranscriberConfig(language="en-GB"), tmp_path) == "whisper"
    assert resolve_transcriber_name(TranscriberConfig(), tmp_path) == "whisper"
    assert resolve_transcriber_name(TranscriberConfig(language="en_US"), tmp_path) == "whisper"
    for wish in ({"name": "whisper", "model": "large"}, {"name": "given"},
                 {"name": "faster-whisper", "model": "none"}):  # fmt: skip
        with pytest.raises(TranscribeError):
            resolve_transcriber_name(TranscriberConfig(**wish), tmp_path)


def test_an_unknown_transcriber_is_refused() -> None:
    with pytest.raises(TranscribeError, match="no transcriber 'siri'; there are auto, given"):
        TranscriberConfig(name="siri")


def test_given_words_go_before_heard_ones_and_only_the_rest_is_listened_to(
    tmp_path: Path,
) -> None:
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    given = {one: ExistingTranscript(source="one.txt", text="Given words.")}
    whole = create_transcript_provider(
        TranscriberConfig(), [one], given, tmp_path, ProgressReporter()
    )
    assert (whole.name, whole.transcriber) == ("given", None)
    assert whole.existing_transcripts == given

    said: list[ProgressEvent] = []
    mixed = create_transcript_provider(
        TranscriberConfig(), [one, two], given, tmp_path, ProgressReporter(said.append)
    )
    assert mixed.name == "given, else pocketsphinx en-us"
    assert "1 of 2 recordings have an existing" in heard_by(said)
    assert mixed.existing_transcripts == given and mixed.transcriber is not None

    heard = create_transcript_provider(
        TranscriberConfig(name="pocketsphinx"), [one], given, tmp_path, ProgressReporter()
    )
    assert heard.name == "pocketsphinx en-us" and not heard.existing_transcripts


def test_only_given_words_refuses_where_nothing_is_given_and_warns_where_some_is_missing(
    tmp_path: Path,
) -> None:
    files = [tmp_path / f"{number}.wav" for number in range(7)]
    wish = TranscriberConfig(name="given")
    with pytest.raises(TranscribeError, match=r"None of the recordings.*\.txt beside each"):
        create_transcript_provider(wish, files, {}, tmp_path, ProgressReporter())
    said: list[ProgressEvent] = []
    given = {files[0]: ExistingTranscript(source="0.txt", text="Words.")}
    chosen = create_transcript_provider(wish, files, given, tmp_path, ProgressReporter(said.append))
    assert (chosen.name, chosen.transcriber, chosen.existing_transcripts) == ("given", None, given)
    assert "There is no transcript for 1.wav, 2.wav" in heard_by(said) and "1 more" in heard_by(
        said
    )
