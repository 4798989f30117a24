"""The speaker codec's training: parallel speech in a store, exact resumption, falling losses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import write_clip
from audio.mel import VOCODER_MEL, log_mel
from core.progress import ProgressEvent, ProgressReporter
from recipes import build_codec, loop
from recipes.corpus.reader import CorpusRow
from recipes.data.codec_batches import BatchOptions, CodecBatches
from recipes.data.phones import PhoneSpan, label_frames, list_teacher_spans
from recipes.data.speech_store import (
    SpeechStore,
    Utterance,
    list_shards,
    normalize_level,
    write_shard,
)
from recipes.loop import make_step_generator
from recipes.losses.mel_critics import SpeakerSimilarity
from recipes.train_speaker_codec import SpeakerCodecRecipe, train_speaker_codec
from support.tiny_codec import make_encoder
from text.phones import MISAKI_PHONES, PHONES, UNKNOWN_PHONE
from tortoise.modules.speaker_codec import (
    MEL_CENTER,
    TARGET_FLOOR,
    SpeakerCodec,
    SpeakerCodecConfig,
    standardize_bands,
)

RECIPE = SpeakerCodecRecipe(
    architecture=SpeakerCodecConfig.tiny(),
    batches=BatchOptions(size=3, codes=8, context_codes=6),
    steps=6, warm_up=2, similar_every=2,
)  # fmt: skip


def tone(hz: float, seconds: float = 1.5, rate: int = 24_000, seed: int = 0) -> Clip:
    time = torch.arange(round(seconds * rate)) / rate
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(seed))
    beat = 0.6 + 0.4 * torch.sin(2 * torch.pi * 3 * time)
    return Clip(wave=0.2 * beat * torch.sin(2 * torch.pi * hz * time) + 0.01 * noise,
                sample_rate=rate)  # fmt: skip


def embed_windows(clip: Clip) -> Tensor:
    generator = torch.Generator().manual_seed(len(clip.wave))
    return torch.nn.functional.normalize(torch.rand(3, 256, generator=generator), dim=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SpeechStore:
    folder = tmp_path_factory.mktemp("store")
    phones = [PhoneSpan(phone="AA", end_s=0.7), PhoneSpan(phone="S", end_s=1.5)]
    pairs = Utterance(name="pair", clips={"a": tone(200), "b": tone(320)}, phones=phones)
    alone = Utterance(name="alone", clips={"c": tone(250, rate=16_000)})
    write_shard(folder / "one", [pairs], embed_windows)
    write_shard(folder / "two", [alone], embed_windows)
    (folder / "incomplete").mkdir()
    return SpeechStore(list_shards(folder))


@pytest.fixture(autouse=True)
def random_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder()
    monkeypatch.setattr("recipes.train_speaker_codec.load_vector_encoder", lambda name: encoder)
    monkeypatch.setattr("recipes.build_codec.load_vector_encoder", lambda name: encoder)


def test_a_store_gives_back_the_mels_of_each_version(store: SpeechStore) -> None:
    assert len(store) == 2
    _, pair = store.utterances[0]
    assert [version.speaker for version in pair.versions] == ["a", "b"]
    wanted = log_mel(normalize_level(tone(320)).wave.clamp(-1, 1), VOCODER_MEL)[0]
    found = store.read_vocoder_mel(0, 1, 10, 5)
    torch.testing.assert_close(found, wanted[:, 10:15], atol=0.01, rtol=0)
    assert store.read_vocoder_mel(0, 1, pair.vocoder_frames - 2, 5).shape == (100, 2)
    labels = store.read_phones(0, 0, pair.gpt_frames - 1)  # the last frame is after the end
    assert labels.unique().tolist() == [PHONES.index("AA"), PHONES.index("S")]
    assert (store.read_phones(1, 0, 9) == UNKNOWN_PHONE).all()


def test_batches_follow_from_the_generator_and_leave_out_what_a_recording_lacks(
    store: SpeechStore,
) -> None:
    batches = CodecBatches(store, replace(RECIPE.batches, size=8))
    batch, again = (batches.sample(make_step_generator(1, 3)) for _ in range(2))
    assert torch.equal(batch.bands, again.bands) and torch.equal(batch.mel, again.mel)
    assert batch.bands.shape == (8, 80, 32) and batch.mel.shape == (8, 100, 35)
    assert batch.phones.shape == (8, 16) and batch.mel.min() >= TARGET_FLOOR
    torch.testing.assert_close(batch.speaker.norm(dim=1), torch.ones(8))
    known = batch.known.squeeze(-1).sum(1)
    assert set(known.tolist()) == {int(known.min()), 99} and known.min() < 90


def test_the_decoder_is_told_the_phones_of_some_items(store: SpeechStore) -> None:
    options = replace(RECIPE.batches, size=12, parallel=1.0, told_phones=0.5)
    batch = CodecBatches(store, options).sample(make_step_generator(1, 0))
    told = batch.shares.sum((1, 2)) > 0
    assert batch.shares.shape == (12, len(PHONES), 16) and 0 < told.sum() < 12
    torch.testing.assert_close(batch.shares[told].sum(1), torch.ones(int(told.sum()), 16))
    assert torch.equal(batch.shares[told].argmax(1)[:, ::5], batch.phones[told][:, ::5])


def test_an_interrupted_run_ends_exactly_like_one_that_was_not(
    store: SpeechStore, tmp_path: Path
) -> None:
    whole = train_speaker_codec(RECIPE, store, tmp_path / "whole", ProgressReporter())

    def stop_after_four(event: ProgressEvent) -> None:
        if event.done == 4:
            (tmp_path / "cut" / "stop").touch()

    train_speaker_codec(RECIPE, store, tmp_path / "cut", ProgressReporter(stop_after_four))
    (tmp_path / "cut" / "stop").unlink()
    begun = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["step"]
    assert 0 < begun < RECIPE.steps
    resumed = train_speaker_codec(RECIPE, store, tmp_path / "cut", ProgressReporter())
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_training_lowers_the_error(store: SpeechStore, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=75, rate=5e-3, similar_weight=0)
    recipe = replace(recipe, batches=replace(RECIPE.batches, parallel=0.8))
    made = train_speaker_codec(recipe, store, tmp_path, ProgressReporter())
    assert isinstance(made, SpeakerCodec) and not made.training
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    batch = CodecBatches(store, RECIPE.batches).sample(make_step_generator(1, 0))
    untrained = (batch.mel - MEL_CENTER).abs().mean()
    assert lines[-1]["l1"] < 0.7 * untrained
    assert lines[-1]["phone"] < lines[0]["phone"]


def test_the_similarity_of_a_mel_follows_the_encoders_own_mel() -> None:
    clip = tone(210, seconds=1.6)
    judge = SpeakerSimilarity(make_encoder().model)
    mel = log_mel(clip.wave, VOCODER_MEL).requires_grad_()
    vector = judge.embed(mel)
    assert vector.shape == (1, 256)
    judge(mel, vector.detach()).backward()
    assert mel.grad is not None and mel.grad.isfinite().all()


def test_constant_bands_have_finite_gradients() -> None:
    mel = torch.zeros(1, 80, 16, requires_grad=True)
    standardize_bands(mel).square().sum().backward()
    assert mel.grad is not None and mel.grad.isfinite().all()


def test_every_phoneme_of_the_teacher_has_a_class() -> None:
    assert set(MISAKI_PHONES.values()) <= set(PHONES)
    row = CorpusRow(
        shard="", start=0, samples=0, speaker="", text="", phonemes="_hˈI ._",
        durations=(2, 2, 1, 4, 1, 6, 2),
    )  # fmt: skip
    spans = list_teacher_spans(row)
    assert [span.phone for span in spans] == ["SIL", "HH", "", "AY", "", "SIL", "SIL"]
    assert spans[-1].end_s == pytest.approx(18 * 0.025)
    labels = label_frames(spans, 40)
    assert labels[0] == 0 and labels[5] == PHONES.index("HH")
    assert labels[39] == UNKNOWN_PHONE


def test_recordings_and_a_parallel_corpus_are_prepared_once(tmp_path: Path) -> None:
    folder, corpus = tmp_path / "speech", tmp_path / "corpus"
    folder.mkdir()
    write_clip(folder / "7-1-2.wav", tone(200, rate=16_000))
    (folder / "7-1-2.phones.json").write_text('[["AA", 1.5]]')
    (corpus / "shards").mkdir(parents=True)
    samples = (tone(150).wave * 32767).short().numpy()
    np.save(corpus / "shards" / "0000.npy", np.concatenate([samples, samples]))
    rows = [
        {"shard": "0000.npy", "start": start, "samples": len(samples), "speaker": name, "text": "a",
         "sentence": 4, "phonemes": "_ɑ_", "durations": [4, 52, 4]}
        for name, start in (("x", 0), ("y", len(samples)))
    ]  # fmt: skip
    (corpus / "shards" / "0000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        build_codec.main(["recordings", str(folder), "--store", str(tmp_path / "store")])
        build_codec.main(["teacher", str(corpus), "--store", str(tmp_path / "store")])
    store = SpeechStore(list_shards(tmp_path / "store"))
    names = [utterance.name for _, utterance in store.utterances]
    assert names == ["7-1-2@1.0", "7-1-2@0.84", "7-1-2@0.92", "7-1-2@1.09", "7-1-2@1.18", "4"]
    slow, parallel = store.utterances[1][1], store.utterances[5][1]
    assert slow.gpt_frames == pytest.approx(store.utterances[0][1].gpt_frames / 0.84, abs=2)
    assert [version.speaker for version in parallel.versions] == ["x", "y"]
    assert (store.read_phones(1, 0, 100) == PHONES.index("AA")).all()


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_a_recipe_computes_in_bfloat16_only_where_the_processor_does(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    monkeypatch.setattr(loop, "is_format_available", lambda name: has_bfloat16)
    with loop.autocast_bfloat16():
        made = torch.ones(2, 2) @ torch.ones(2, 2)
    assert (made.dtype == torch.bfloat16) == has_bfloat16
