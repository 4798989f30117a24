"""A model with a text aligner and a speaker codec in place of the diffusion network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audio.io import read_clip
from core.errors import InvalidValueError
from core.progress import ProgressReporter
from engines.speaker_latents import SpeakerLatents
from speakers.modules.checkpoints import EncoderCheckpoint, save_checkpoint
from speakers.modules.feature_config import FeatureConfig
from support.audio_helpers import VOICES
from support.tiny_bundle import CODES
from support.tiny_codec import (
    make_aligned_bundle,
    make_encoder,
    make_phoneme_bundle,
    record_phones,
)
from text.phones import PHONES
from tortoise import engine as engine_module
from tortoise.checkpoints.config import read_config, write_config
from tortoise.checkpoints.layout import compute_weights_id, find_missing_files
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions
from tortoise.modules.speaker_codec import SpeakerCodec, count_vocoder_frames

TEXT = "hello there, friend"
FRAME_SAMPLES = 256  # of the vocoder's mel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_aligned_bundle(tmp_path_factory.mktemp("bundles") / "codec")


@pytest.fixture
def engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TortoiseEngine:
    encoder = make_encoder()
    monkeypatch.setattr(engine_module, "load_codec_encoder", lambda folder, name: encoder)
    return TortoiseEngine.load(folder, torch.device("cpu"))


@pytest.fixture
def speaker(engine: TortoiseEngine) -> SpeakerLatents:
    return engine.condition([read_clip(VOICES / "iris" / "3.flac")], ProgressReporter())


def options(**changes: object) -> TortoiseOptions:
    values = {"samples": 3, "candidates": 2, "seed": 1, "vocoder": "istft", **changes}
    return TortoiseOptions(**values)  # type: ignore[arg-type]


def test_the_codebook_is_needed_and_part_of_the_id(folder: Path, tmp_path: Path) -> None:
    assert CODES == 20 and not find_missing_files(folder)
    before = compute_weights_id(folder)
    dvae = (folder / "dvae.safetensors").read_bytes()
    (folder / "dvae.safetensors").unlink()
    assert find_missing_files(folder) == ["dvae.safetensors"]
    (folder / "dvae.safetensors").write_bytes(dvae)
    assert compute_weights_id(folder) == before


def test_a_speaker_encoder_of_the_folder_is_used_and_part_of_the_id(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "own")
    own = tmp_path / "own" / "speaker.safetensors"
    config = read_config(own.parent)
    write_config(own.parent, replace(config, dvae=replace(config.dvae, speaker_encoder=own.name)))
    assert find_missing_files(own.parent) == [own.name]
    model = make_encoder().model
    features = FeatureConfig(trim_silence=False)
    ids = set()
    for _ in range(2):
        checkpoint = EncoderCheckpoint(model=model, kind="ge2e", features=features)
        save_checkpoint(own, checkpoint)
        engine = TortoiseEngine.load(own.parent, torch.device("cpu"))
        voice = engine.condition([read_clip(VOICES / "iris" / "3.flac")], ProgressReporter())
        ids.add(engine.weights_id)
        torch.nn.init.normal_(model.linear.weight)
    assert len(ids) == 2 and voice.tensors["speaker"].shape == (1, 256)


def test_a_voice_is_a_gpt_latent_and_a_speaker_vector(speaker: SpeakerLatents) -> None:
    assert set(speaker.tensors) == {"gpt", "speaker", "cvvp"}
    assert float(speaker.tensors["speaker"].norm()) == pytest.approx(1.0, abs=1e-4)


def test_the_decoder_is_told_the_phones_of_the_plan(
    engine: TortoiseEngine, speaker: SpeakerLatents, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record_phones(monkeypatch)
    classes = torch.full((engine.bundle.tokenizer.size,), PHONES.index("M"))
    for known in (None, classes):
        monkeypatch.setattr(engine_module, "list_phone_classes", lambda _, known=known: known)
        made = engine.synthesize(TEXT, speaker, options(candidates=1), ProgressReporter())
    codes = len(made.candidates[0].aux.codes)
    assert told[0] is None and told[1].shape == (1, len(PHONES), 2 * codes)
    assert (told[1].argmax(1)[0, 4:] == PHONES.index("M")).all()  # behind the lead


def test_candidates_have_the_planned_length(
    engine: TortoiseEngine, speaker: SpeakerLatents
) -> None:
    lengths = {}
    for speed in (0.8, 1.0, 1.5, 2.0):
        output = engine.synthesize(
            TEXT, speaker, options(speed=speed, pause_size=0), ProgressReporter()
        )
        codes = {len(one.aux.codes) for one in output.candidates}
        assert len(codes) == 1 and not output.warnings
        lengths[speed] = codes.pop()
        samples = count_vocoder_frames(lengths[speed]) * FRAME_SAMPLES / max(1.0, speed)
        for candidate in output.candidates:
            assert abs(len(candidate.clip.wave) - samples) <= 2 * FRAME_SAMPLES
        told = engine.predict_duration(TEXT, speaker, options(speed=speed))
        assert told == pytest.approx(candidate.clip.duration_s, abs=0.03)
    assert lengths[0.8] > 1.1 * lengths[1.0]
    assert lengths[1.0] == lengths[1.5] == lengths[2.0]  # fast speech is drawn as at speed 1


def test_parts_begin_where_the_plan_says(engine: TortoiseEngine, speaker: SpeakerLatents) -> None:
    output = engine.synthesize(TEXT, speaker, options(), ProgressReporter())
    parts = ["hello", "there,", "friend"]
    starts = engine.align(parts, output.candidates[0], speaker, ProgressReporter())
    assert starts is not None and starts[0] == 0 and starts == sorted(starts)
    assert starts[-1] < output.candidates[0].clip.duration_s


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.6])
def test_words_are_spoken_where_the_plan_says(
    engine: TortoiseEngine, speaker: SpeakerLatents, speed: float
) -> None:
    output = engine.synthesize(TEXT, speaker, options(speed=speed), ProgressReporter())
    words = TEXT.split()
    spans = engine.locate_words(words, output.candidates[0])
    starts = engine.align(words, output.candidates[0], speaker, ProgressReporter())
    assert spans is not None and starts is not None and len(spans) == len(words)
    times = [time for span in spans for time in span]
    assert times == sorted(times) and times[-1] <= output.candidates[0].clip.duration_s
    assert times[0] > 0  # behind the silence that leads
    for (start, _), part_start in zip(spans[1:], starts[1:], strict=True):
        assert start >= part_start - 1e-6
    read = replace(output.candidates[0], aux=None)
    assert engine.locate_words(words, read) is None


def test_another_speaker_vector_is_heard(engine: TortoiseEngine, speaker: SpeakerLatents) -> None:
    other = SpeakerLatents(
        engine=speaker.engine,
        weights_id=speaker.weights_id,
        tensors={**speaker.tensors, "speaker": speaker.tensors["speaker"].flip(-1)},
    )
    first, second = (
        engine.synthesize(TEXT, one, options(), ProgressReporter()).candidates[0]
        for one in (speaker, other)
    )
    assert torch.equal(first.aux.codes, second.aux.codes)
    assert not torch.equal(first.clip.wave, second.clip.wave)


def test_published_latents_are_refused(engine: TortoiseEngine, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="latents of published weights"):
        engine.read_latents(tmp_path / "voice.pth")


def test_without_clvp_the_phones_of_the_text_rank(
    tmp_path: Path, speaker: SpeakerLatents, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_phoneme_bundle(tmp_path / "phonemes")
    assert not find_missing_files(folder)
    engine = TortoiseEngine.load(folder, torch.device("cpu"))
    voice = SpeakerLatents(
        engine=speaker.engine, weights_id=engine.weights_id, tensors=speaker.tensors
    )
    made = engine.synthesize(TEXT, voice, options(samples=4, candidates=4), ProgressReporter())
    codec = engine.bundle.dvae
    assert isinstance(codec, SpeakerCodec)
    scores = []
    for candidate in made.candidates:
        told = candidate.aux.plan.phones
        heard = codec.classify_phones(candidate.aux.codes[None])[0]
        scores.append(float((heard * told).sum() / told.sum()))
    assert scores == sorted(scores, reverse=True) and len(set(scores)) > 1
    assert [one.score for one in made.candidates] == pytest.approx(scores, abs=1e-4)
