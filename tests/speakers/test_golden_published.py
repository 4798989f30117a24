"""The published encoder, from the package Resemblyzer, gives the embeddings that it gave there."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from audio.io import read_clip
from speakers.embedding import (
    PUBLISHED_NAME,
    Encoder,
    embed_clip,
    load_encoder,
    mean_embedding,
)
from speakers.modules.eer import compute_eer
from speakers.modules.features import SAMPLE_RATE, compute_mel
from speakers.modules.partials import (
    CONTINUOUS_PARTIALS,
    PartialOptions,
    compute_partial_slices,
)
from speakers.modules.silence import WEBRTC
from support.speaker_cases import get_speech
from support.sv2tts_cases import Sv2ttsCase, sv2tts_cases

HALF_OVERLAP = PartialOptions.from_overlap(0.5)
MAX_ROWS = 21  # of a case: the 251 recordings of the largest would take minutes


@cache
def published() -> Encoder:
    pytest.importorskip(PUBLISHED_NAME)
    pytest.importorskip(WEBRTC)
    return load_encoder(PUBLISHED_NAME)


@sv2tts_cases("resemblyzer", "")
def test_embeddings_of_recordings(case: Sv2ttsCase) -> None:
    encoder, rows = published(), case.facts.get("rows", [])
    if not rows:
        pytest.skip("a case without recordings")
    every = max(1, -(-len(rows) // MAX_ROWS))
    for number in range(0, len(rows), every):
        row = rows[number]
        clip = read_clip(get_speech(row["file"]))
        prepared = encoder.prepare_wave(clip.resample(SAMPLE_RATE).wave.numpy())
        is_original = clip.sample_rate == SAMPLE_RATE
        for name, options in (("embed", None), ("embed_overlap_half", HALF_OVERLAP)):
            found = encoder.embed_partials(prepared, options)
            expected = case.tensors[name][number].numpy()
            similarity = float(mean_embedding(found.embeddings) @ expected)
            assert similarity >= (0.9999 if is_original else 0.999), (row["file"], similarity)
            if is_original:
                assert len(prepared) == row["kept_samples_after_preprocess"]
                assert np.abs(mean_embedding(found.embeddings) - expected).max() < 1e-3
            if is_original and options is None:
                assert len(found.starts_s) == row["partials_rate_1.3"]


@sv2tts_cases("resemblyzer", "detail_")
def test_one_recording_step_by_step(case: Sv2ttsCase) -> None:
    encoder = published()
    recording = get_speech(case.facts["file"])
    prepared = encoder.prepare_wave(read_clip(recording).wave.numpy())
    np.testing.assert_allclose(prepared, case.tensors["out/preprocessed"], atol=1e-4)
    slices = compute_partial_slices(len(prepared), encoder.partial_options)
    assert [[160 * part.start, 160 * part.stop] for part in slices] == case.facts["wav_slices"]
    padded = np.pad(prepared, (0, max(0, 160 * slices[-1].stop - len(prepared))))
    np.testing.assert_allclose(compute_mel(padded), case.tensors["out/mel"], rtol=1e-4, atol=1e-4)
    parts = encoder.embed_partials(prepared).embeddings
    np.testing.assert_allclose(parts, case.tensors["out/partials"], atol=1e-4)
    np.testing.assert_allclose(mean_embedding(parts), case.tensors["out/embed"], atol=1e-4)
    often = encoder.embed_partials(prepared, CONTINUOUS_PARTIALS).embeddings
    assert len(often) == case.facts["n_partials_rate16"]
    np.testing.assert_allclose(often[:20], case.tensors["out/partials_rate16_first20"], atol=1e-4)
    np.testing.assert_allclose(mean_embedding(often), case.tensors["out/embed_rate16"], atol=1e-4)
    clips = sorted(recording.parent.glob("*.flac"))[:6]
    speaker = mean_embedding(np.stack([embed_clip(encoder, read_clip(clip)) for clip in clips]))
    np.testing.assert_allclose(speaker, case.tensors["out/speaker_embed_6_clips"], atol=1e-4)


@sv2tts_cases("resemblyzer", "verification_")
def test_verification_of_the_shared_recordings(case: Sv2ttsCase) -> None:
    pytest.importorskip("sklearn")
    known, encoder = case.facts["shared_librispeech"], published()
    folder = get_speech("librispeech/1688/1688-142285-0000.flac").parents[1]
    files = sorted(folder.rglob("*.flac"))
    vectors = np.stack([embed_clip(encoder, read_clip(file)) for file in files])
    speakers = np.array([file.parent.name for file in files])
    rows, columns = np.triu_indices(len(files), 1)
    scores = (vectors @ vectors.T)[rows, columns]
    is_same = speakers[rows] == speakers[columns]
    rate, _ = compute_eer(scores, is_same)
    assert (is_same.sum(), (~is_same).sum()) == (known["same_pairs"], known["different_pairs"])
    assert rate == pytest.approx(known["eer"], abs=1e-3)
    assert scores[is_same].mean() == pytest.approx(known["same_mean"], abs=1e-3)
    assert scores[~is_same].mean() == pytest.approx(known["different_mean"], abs=1e-3)
