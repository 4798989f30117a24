"""The engine `quick`: pace, lengths, refusals, and the real teacher where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.clip import Clip
from core.errors import UnrecoverableError
from core.progress import ProgressReporter
from engines.protocols import SpeechCandidate
from quick import teacher
from quick.converter import (
    PhoneTimes,
    VoiceConverter,
    list_text_phones,
    split_at_quiet_places,
)
from quick.engine import QuickEngine
from quick.options import QuickOptions
from quick.teacher import TeacherUtterance
from support.tiny_bundle import make_tiny_bundle
from support.tiny_codec import (
    make_codec_bundle,
    make_phoneme_bundle,
    record_phones,
    use_tiny_packages,
)
from text.phones import PHONES
from tortoise.generation.voice_conditioning import load_vector_encoder

CPU = torch.device("cpu")


def noise(seconds: float, rate: int = 16_000) -> Clip:
    generator = torch.Generator().manual_seed(0)
    return Clip(
        wave=0.1 * torch.randn(round(seconds * rate), generator=generator), sample_rate=rate
    )


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> QuickEngine:
    use_tiny_packages(monkeypatch)
    return QuickEngine.load(make_codec_bundle(tmp_path / "tiny"), CPU)


@pytest.mark.parametrize(("speed", "seconds"), [(0.5, 2.0), (1.0, 1.0), (2.0, 0.5)])
def test_the_speed_changes_the_duration(engine: QuickEngine, speed: float, seconds: float) -> None:
    speaker = engine.condition([noise(2.0)], ProgressReporter())
    options = QuickOptions(seed=1, speed=speed)
    (take,) = engine.synthesize(
        "one two three four", speaker, options, ProgressReporter()
    ).candidates
    assert take.clip.duration_s == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_words_have_the_durations_of_their_phonemes(engine: QuickEngine, speed: float) -> None:
    speaker = engine.condition([noise(2.0)], ProgressReporter())
    options = QuickOptions(seed=1, speed=speed)
    words = ["one", "two", "three", "four"]
    (take,) = engine.synthesize(" ".join(words), speaker, options, ProgressReporter()).candidates
    spans = engine.locate_words(words, take)
    assert spans is not None and len(spans) == 4
    word_s = take.clip.duration_s / 4
    allowed = 1e-3 if speed <= 1 else 0.3 * word_s  # steady sounds are compressed more
    for number, span in enumerate(spans):
        assert span == pytest.approx((word_s * number, word_s * (number + 1)), abs=allowed)
    assert engine.locate_words(words, SpeechCandidate(clip=take.clip)) is None


def test_a_speed_beyond_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        QuickOptions(speed=2.5)


@pytest.mark.parametrize(
    ("advice", "taken"),
    [({}, {}), ({"vocoder": "griffin_lim", "top_p": 0.9}, {"vocoder": "griffin_lim"}),
     ({"vocoder": "hifigan"}, {})],
)  # fmt: skip
def test_the_advice_of_a_model_is_taken_where_the_engine_has_the_option(
    tmp_path: Path, advice: dict[str, object], taken: dict[str, object]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"format": 1, "advice": advice}))
    assert QuickOptions.advised(tmp_path) == taken


@pytest.mark.parametrize("vocoder", ["auto", "univnet", "bigvgan", "griffin_lim"])
@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.234])
def test_a_conversion_is_as_long_as_the_recording(
    engine: QuickEngine, vocoder: str, seconds: float
) -> None:
    clip, generator = noise(seconds), torch.Generator().manual_seed(1)
    speaker = engine.converter.embed([noise(2.0)])
    made, _ = engine.converter.convert(clip, speaker, vocoder, generator, ProgressReporter())
    assert made.sample_rate == 24_000
    assert len(made.wave) == len(clip.resample(24_000).wave)
    assert torch.isfinite(made.wave).all()


def test_long_recordings_are_cut_where_they_are_quiet() -> None:
    rate = 1_000
    wave = torch.ones(50 * rate)
    wave[18 * rate : 18 * rate + 200] = 0.0
    pieces = split_at_quiet_places(Clip(wave=wave, sample_rate=rate))
    assert sum(len(piece.wave) for piece in pieces) == len(wave)
    assert len(pieces) == 3
    assert len(pieces[0].wave) == pytest.approx(18.1 * rate, abs=100)
    assert torch.equal(torch.cat([piece.wave for piece in pieces]), wave)


def test_a_text_is_found_in_a_recording(tmp_path: Path) -> None:
    converter = VoiceConverter.load(make_phoneme_bundle(tmp_path / "tiny"), CPU)
    found = converter.align(noise(23.4), "hello there", ProgressReporter())  # two pieces
    assert float(found.seconds.sum()) == pytest.approx(23.4, abs=0.05)
    spoken = [PHONES[index] for index in found.classes.tolist() if PHONES[index] != "SIL"]
    wanted = list_text_phones(converter.networks.bundle, "hello there").tolist()
    assert spoken == [PHONES[index] for index in wanted if PHONES[index] != "SIL"] and spoken


def test_words_that_cannot_be_found_are_refused(
    tmp_path: Path, engine: QuickEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = VoiceConverter.load(make_phoneme_bundle(tmp_path / "phonemes"), CPU)
    with pytest.raises(ValueError, match=r"0\.2 s, which is too short for its words"):
        converter.align(noise(0.2), "hello there, hello there", ProgressReporter())
    with pytest.raises(ValueError, match=r"no word in '\.\.\. !'"):
        converter.align(noise(2.0), "... !", ProgressReporter())
    monkeypatch.setattr("quick.converter.MAX_ALIGNED_S", 1.0)
    with pytest.raises(ValueError, match=r"lasts 2 s; its words can be used up to 1 s"):
        converter.align(noise(2.0), "hello", ProgressReporter())
    assert converter.reads_phonemes and not engine.converter.reads_phonemes
    with pytest.raises(ValueError, match="has no phonemes"):
        engine.converter.align(noise(1.0), "hello", ProgressReporter())


def test_a_model_without_speaker_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its codebook has no speaker vectors"):
        VoiceConverter.load(make_tiny_bundle(tmp_path / "tiny"), CPU)


def test_a_codec_of_an_unknown_speaker_encoder_is_refused(tmp_path: Path) -> None:
    folder = make_codec_bundle(tmp_path / "tiny")
    text = (folder / "config.json").read_text().replace('"resemblyzer"', '"none/here.pt"')
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"here\.pt"):
        VoiceConverter.load(folder, CPU).embed([noise(1.0)])


def test_missing_packages_say_how_to_install_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_codec_bundle(tmp_path / "tiny")
    monkeypatch.setattr("quick.teacher.find_spec", lambda name: None)
    with pytest.raises(UnrecoverableError, match=r"hibari-tts.*requirements-extra"):
        QuickEngine.load(folder, CPU)
    monkeypatch.setattr("speakers.embedding.find_spec", lambda name: None)
    load_vector_encoder.cache_clear()
    with pytest.raises(ValueError, match=r"Resemblyzer.*requirements-extra"):
        VoiceConverter.load(folder, CPU).embed([noise(1.0)])


def test_the_teacher_speaks_at_every_pace_and_repeats_itself() -> None:
    pytest.importorskip("hibari", reason="needs hibari-tts (requirements-extra.txt)")
    voice = teacher.load_teacher()
    plain, again, fast = (voice.speak("Good morning.", speed, 3) for speed in (1.0, 1.0, 2.0))
    assert np.array_equal(plain.wave, again.wave)
    assert len(fast.wave) < 0.7 * len(plain.wave)
    with pytest.raises(ValueError, match="nothing to speak"):
        voice.speak("", 1.0, 0)


def test_the_phones_of_each_piece_are_those_of_its_time() -> None:
    spoken = TeacherUtterance(
        wave=np.zeros(0, np.float32), f0=np.zeros(0, np.float32), phonemes="_ɑs_",
        durations=(40, 40, 40, 40),
    )  # fmt: skip
    times = PhoneTimes.of(spoken)
    code_s = 1024 / 22_050
    whole = times.compute_shares(0.0, round(4 / code_s))
    classes = whole.argmax(0)
    assert whole.sum(0).allclose(torch.ones(whole.shape[1]))
    assert [PHONES[classes[round(2 * s / code_s)]] for s in (0.5, 1.5, 2.5, 3.5)] == [
        "SIL", "AA", "S", "SIL"
    ]  # fmt: skip
    late = times.compute_shares(30 * code_s, len(classes) // 2 - 30)
    torch.testing.assert_close(late, whole[:, 60:], atol=1e-4, rtol=0)


def test_the_decoder_is_told_the_phones_of_the_text(
    engine: QuickEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record_phones(monkeypatch)
    speaker = engine.condition([noise(2.0)], ProgressReporter())
    engine.synthesize("one two", speaker, QuickOptions(seed=1), ProgressReporter())
    assert (told[0].argmax(1) == PHONES.index("M")).all()
