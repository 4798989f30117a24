"""What is heard: in stretches cut in pauses, with the time of every word, stopped when asked."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jobs.report import Cancelled, Event, Reporter
from speech.files import read_clip
from training.transcribe.base import RATE, TranscribeError, TranscriberWish
from training.transcribe.choose import check_wish, choose, listener
from training.transcribe.doubt import doubt, spoken_words, word_error_rate
from training.transcribe.given import Given
from training.transcribe.sphinx import PocketSphinx
from training.transcribe.stretches import stretches
from whisper_cases import write_whisper

SPEECH = Path(__file__).resolve().parents[3] / "shared/speech"
HEARD = "what you can do for your country"  # without averaging first: "when you and you were"


@pytest.fixture(scope="module")
def recognizer() -> PocketSphinx:
    return PocketSphinx()


def voice(seconds: float) -> Tensor:
    """Something as loud as speech, that never pauses."""
    draw = torch.Generator().manual_seed(0)
    return 0.3 * torch.rand(int(seconds * RATE), generator=draw) - 0.15


def silence(seconds: float) -> Tensor:
    return torch.zeros(int(seconds * RATE))


def real_speech(name: str) -> Tensor:
    if not SPEECH.is_dir():
        pytest.skip("needs the real speech beside the repository")
    return read_clip(SPEECH / name).resampled(RATE).wave


# stretches


def test_speech_is_joined_as_far_as_it_fits_and_cut_in_its_pauses() -> None:
    wave = torch.cat([silence(1), voice(3), silence(1), voice(3), silence(1), voice(3)])
    first, second = stretches(wave, longest_s=8)
    assert first.start == pytest.approx(RATE, abs=0.2 * RATE)
    assert first.stop == pytest.approx(8 * RATE, abs=0.2 * RATE)
    assert second.start == pytest.approx(9 * RATE, abs=0.2 * RATE)


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    wave = voice(20)
    wave[int(8.5 * RATE) : int(8.6 * RATE)] *= 0.3
    first, second, *rest = stretches(wave, longest_s=10)
    assert first.stop == second.start == pytest.approx(8.55 * RATE, abs=0.1 * RATE)
    assert all(span.stop - span.start <= 10 * RATE for span in (first, second, *rest))
    assert first.start == 0 and rest[-1].stop == pytest.approx(len(wave), abs=0.02 * RATE)


def test_silence_and_nothing_hold_no_speech() -> None:
    assert stretches(silence(3), 10) == [] == stretches(torch.zeros(0), 10)


# PocketSphinx


def test_pocketsphinx_hears_words_with_their_times_and_how_sure_it_is(
    recognizer: PocketSphinx,
) -> None:
    wave = real_speech("jfk/jfk.flac")[8 * RATE :]
    transcript = recognizer.transcribe(torch.cat([silence(2), wave]), Reporter())
    assert HEARD in transcript.text and transcript.language == "en"
    words = [word for segment in transcript.segments for word in segment.words]
    assert words[0].start_s > 2.0
    assert all(left.stop_s <= right.start_s for left, right in pairwise(words))
    assert words[-1].stop_s <= 2 + len(wave) / RATE
    assert all(0 <= (segment.confidence or 0) <= 1 for segment in transcript.segments)
    country = next(word for word in words if word.text == "country")
    assert country.stop_s - country.start_s > 0.2
    assert not any("(" in word.text or "<" in word.text for word in words)


def test_pocketsphinx_hears_nothing_in_silence_and_in_a_tone(recognizer: PocketSphinx) -> None:
    assert recognizer.words(torch.zeros(0), Reporter()) == []
    tone = 0.2 * torch.sin(torch.arange(2 * RATE) * 2 * torch.pi * 440 / RATE)
    assert recognizer.transcribe(silence(3), Reporter()).segments == ()
    heard = recognizer.transcribe(tone, Reporter())
    assert len(heard.text.split()) <= 3


def test_pocketsphinx_stops_within_a_stretch(recognizer: PocketSphinx) -> None:
    asked = iter([False] * 4)
    report = Reporter(stopped=lambda: next(asked, True))
    started = time.monotonic()
    with pytest.raises(Cancelled):
        recognizer.transcribe(voice(600), report)
    assert time.monotonic() - started < 20  # ten minutes of it would take longer by far
    assert recognizer.transcribe(silence(1), Reporter()).segments == ()  # and listens again


def test_pocketsphinx_refuses_other_languages() -> None:
    with pytest.raises(TranscribeError, match=r"hears English only, not 'de'.*Whisper.*\.txt"):
        PocketSphinx("de")


# doubt


def test_a_right_text_is_not_doubted_and_a_wrong_one_is() -> None:
    wave = real_speech("ljspeech/wavs/LJ001-0002.flac")
    right = doubt(wave, "in being comparatively modern.")
    wrong = doubt(wave, "The quick brown fox jumps over 13 lazy dogs.")
    assert right is not None and wrong is not None
    assert right < 0.75 < wrong <= 1.0


def test_too_few_words_and_too_long_clips_are_not_judged() -> None:
    assert doubt(voice(1), "Hello.") is None
    assert doubt(voice(60), "One two three four five.") is None


def test_numbers_count_as_they_are_spoken() -> None:
    assert spoken_words("Dr. Who's 21 well-known cats") == [
        *("doctor", "who's", "twenty", "one", "well", "known", "cats")
    ]
    assert word_error_rate(["a", "b", "c", "d"], ["a", "x", "c"]) == 0.5


# choosing


def heard_by(report: list[Event]) -> str:
    return " ".join(event.message for event in report)


def test_auto_takes_whisper_where_a_model_is_here_and_says_plainly_where_none_is(
    tmp_path: Path,
) -> None:
    said: list[Event] = []
    chosen = choose(TranscriberWish(), tmp_path, Reporter(said.append))
    assert chosen.name == "pocketsphinx en-us"
    assert "English only" in heard_by(said) and "models download whisper-base" in heard_by(said)
    write_whisper(tmp_path / "tiny.pt")
    assert choose(TranscriberWish(), tmp_path, Reporter()).name == "whisper tiny"


def test_auto_refuses_a_language_that_nothing_here_hears(tmp_path: Path) -> None:
    wish = TranscriberWish(language="German")
    with pytest.raises(TranscribeError, match=r"English only, not 'German'.*whisper-base"):
        choose(wish, tmp_path, Reporter())


def test_who_would_listen_is_told_without_loading_anything(tmp_path: Path) -> None:
    assert check_wish(TranscriberWish(), tmp_path) == "pocketsphinx"
    assert (
        check_wish(TranscriberWish(language="de", model="base", fetch=True), tmp_path) == "whisper"
    )
    (tmp_path / "base.en.pt").touch()
    assert check_wish(TranscriberWish(language="en-GB"), tmp_path) == "whisper"
    assert check_wish(TranscriberWish(), tmp_path) == "pocketsphinx"  # may be in any language
    for wish in ({"name": "whisper", "model": "large"}, {"name": "given"},
                 {"name": "faster-whisper", "model": "none"}):  # fmt: skip
        with pytest.raises(TranscribeError):
            check_wish(TranscriberWish(**wish), tmp_path)


def test_an_unknown_transcriber_is_refused() -> None:
    with pytest.raises(TranscribeError, match="no transcriber 'siri'; there are auto, given"):
        TranscriberWish(name="siri")


def test_given_words_go_before_heard_ones_and_only_the_rest_is_listened_to(
    tmp_path: Path,
) -> None:
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    given = {one: Given(source="one.txt", text="Given words.")}
    whole = listener(TranscriberWish(), [one], given, tmp_path, Reporter())
    assert (whole.name, whole.machine) == ("given", None)
    assert whole.given == given

    said: list[Event] = []
    mixed = listener(TranscriberWish(), [one, two], given, tmp_path, Reporter(said.append))
    assert mixed.name == "given, else pocketsphinx en-us"
    assert "1 of 2 recordings come with" in heard_by(said)
    assert mixed.given == given and mixed.machine is not None

    heard = listener(TranscriberWish(name="pocketsphinx"), [one], given, tmp_path, Reporter())
    assert heard.name == "pocketsphinx en-us" and not heard.given


def test_only_given_words_refuses_where_nothing_is_given_and_warns_where_some_is_missing(
    tmp_path: Path,
) -> None:
    files = [tmp_path / f"{number}.wav" for number in range(7)]
    wish = TranscriberWish(name="given")
    with pytest.raises(TranscribeError, match=r"None of the recordings.*\.txt beside each"):
        listener(wish, files, {}, tmp_path, Reporter())
    said: list[Event] = []
    given = {files[0]: Given(source="0.txt", text="Words.")}
    chosen = listener(wish, files, given, tmp_path, Reporter(said.append))
    assert (chosen.name, chosen.machine, chosen.given) == ("given", None, given)
    assert "Nothing is given for 1.wav, 2.wav" in heard_by(said) and "1 more" in heard_by(said)
