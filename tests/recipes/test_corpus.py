"""Who speaks in a corpus, and that a shard depends on nothing but its number."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recipes.corpus.build import ESPEAK_VARIANTS, CorpusConfig, _assign_texts, build_shard
from recipes.corpus.reader import read_index, read_wave
from recipes.corpus.speakers import (
    SAMPLE_SPEAKERS,
    SynthesizerError,
    SyntheticSpeaker,
    synthesize_speech,
)

NAMES = {speaker.name for speaker in SAMPLE_SPEAKERS}
needs_synthesizers = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("espeak-ng")),
    reason="flite and espeak-ng are not both installed",
)


def speakers_of(config: CorpusConfig, shards: int = 4) -> list[SyntheticSpeaker]:
    return [speaker for n in range(shards) for speaker, _ in _assign_texts(config, n)]


def test_guests_take_their_share_and_each_says_a_few_clips() -> None:
    said = Counter(s.name for s in speakers_of(CorpusConfig()) if s.name not in NAMES)
    assert set(said.values()) == {8}
    assert sum(said.values()) == pytest.approx(
        1000 * CorpusConfig().random_speaker_fraction, rel=0.05
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_espeak_is_that_of_guests_alone(share: float) -> None:
    speakers = speakers_of(CorpusConfig(espeak_fraction=share))
    for speaker in speakers:
        guest = speaker.name not in NAMES
        assert (speaker.synthesizer == "espeak-ng") == (guest and share == 1.0)


def test_espeak_guests_have_many_variants_and_vocal_tracts() -> None:
    speakers = {
        s.name: s
        for s in speakers_of(
            CorpusConfig(random_speaker_fraction=1.0, espeak_fraction=1.0), shards=6
        )
    }
    guests = [speaker for name, speaker in speakers.items() if name not in NAMES]
    assert {guest.voice.removeprefix("en-us+") for guest in guests} == set(ESPEAK_VARIANTS)
    assert len({guest.tract for guest in guests}) == len(guests)


@needs_synthesizers
def test_a_shard_is_the_same_wherever_it_is_built(tmp_path: Path) -> None:
    config = CorpusConfig(
        clips_per_shard=12,
        clips_per_random_speaker=2,
        random_speaker_fraction=0.5,
        espeak_fraction=0.5,
    )
    for name in ("one", "other"):
        (tmp_path / name / "shards").mkdir(parents=True)
        build_shard(tmp_path / name / "shards", config, 3)
    rows = read_index(tmp_path / "one")
    assert rows == read_index(tmp_path / "other") and len(rows) > 8
    for row in rows:
        ours, theirs = (read_wave(tmp_path / name, row) for name in ("one", "other"))
        assert np.array_equal(ours, theirs) and np.abs(ours).max() > 1000


@needs_synthesizers
@pytest.mark.parametrize("synthesizer", ["flite", "espeak-ng"])
def test_a_shorter_tract_raises_the_formants_and_keeps_the_length(synthesizer: str) -> None:
    voice = {"flite": "rms", "espeak-ng": "en-us"}[synthesizer]
    plain, small = (
        synthesize_speech(
            SyntheticSpeaker(name="x", synthesizer=synthesizer, voice=voice, tract=tract),
            "One more day.",
        )
        for tract in (1.0, 1.15)
    )
    assert len(small) == pytest.approx(len(plain), rel=0.12)

    def brightness(wave: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(wave)) ** 2
        return float((power * np.arange(len(power))).sum() / power.sum() / len(power))

    assert brightness(small) > brightness(plain)


def test_a_synthesizer_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="known are flite, espeak-ng"):
        SyntheticSpeaker(name="x", synthesizer="festival")


@pytest.mark.parametrize("field", ["tract", "pitch", "pace"])
def test_a_speaker_stays_within_what_sounds_human(field: str) -> None:
    with pytest.raises(ValueError, match=r"not 0\.5\.\.2"):
        SyntheticSpeaker(name="x", **{field: 2.5})


def test_a_synthesizer_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SynthesizerError, match="apt-get install"):
        synthesize_speech(SAMPLE_SPEAKERS[0], "Hello.")
