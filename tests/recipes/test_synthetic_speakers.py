"""Synthetic speakers by flite and espeak-ng."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from recipes.corpus.speakers import (
    SynthesizerError,
    SyntheticSpeaker,
    synthesize_speech,
)

needs_synthesizers = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("espeak-ng")),
    reason="flite and espeak-ng are not both installed",
)


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
        synthesize_speech(SyntheticSpeaker(name="x"), "Hello.")
