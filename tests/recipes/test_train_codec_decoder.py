"""The decoder's training on drafts of the GPT, and the phone recognizer that judges its mels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from core.progress import ProgressEvent, ProgressReporter
from quick.teacher import DURATION_UNIT
from recipes.corpus.reader import CorpusRow
from recipes.data.codec_batches import BatchOptions, CodecBatches
from recipes.data.drafts import DraftWriter
from recipes.data.phones import PhoneSpan
from recipes.data.speech_store import (
    NO_DRAFT,
    SpeechStore,
    Utterance,
    list_shards,
    write_shard,
)
from recipes.loop import make_step_generator
from recipes.losses.mel_critics import SpeakerSimilarity
from recipes.losses.phone_recognizer import (
    PhoneRecognizer,
    compute_phone_errors,
    compute_phone_loss,
)
from recipes.train_codec_decoder import (
    CodecDecoderRecipe,
    mix_weights,
    train_codec_decoder,
)
from recipes.train_phone_recognizer import PhoneRecognizerRecipe, train_phone_recognizer
from support.tiny_codec import make_codec, make_encoder, make_phoneme_bundle
from text.phones import UNKNOWN_PHONE
from text.tokenizer import load_tokenizer
from tortoise.checkpoints.loading import load_mel_stats, load_network
from tortoise.modules.gpt import Gpt
from tortoise.modules.speaker_codec import SpeakerCodec

SECONDS = 1.5
BATCHES = BatchOptions(size=4, codes=8, context_codes=6)
RECIPE = CodecDecoderRecipe(
    batches=replace(BATCHES, drafted=0.5), steps=5, warm_up=2, similar_every=2, critic_channels=2
)
PHONES = [PhoneSpan(phone="AA", end_s=0.7), PhoneSpan(phone="S", end_s=SECONDS)]


def speak(hz: float, seed: int = 0) -> Clip:
    """A hum, then a hiss."""
    time = torch.arange(round(SECONDS * 24_000)) / 24_000
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(seed))
    hum = 0.2 * torch.sin(2 * torch.pi * hz * time)
    return Clip(wave=torch.where(time < 0.7, hum + 0.005 * noise, 0.2 * noise), sample_rate=24_000)


def embed_windows(clip: Clip) -> Tensor:
    generator = torch.Generator().manual_seed(len(clip.wave))
    return torch.nn.functional.normalize(torch.rand(3, 256, generator=generator), dim=1)


@pytest.fixture
def store(tmp_path: Path) -> SpeechStore:
    """Two utterances of the teacher with drafts, and a recording without."""
    folder = tmp_path / "store"
    pairs = [
        Utterance(name=str(n), clips={"a": speak(200, n), "b": speak(320, n)}, phones=PHONES)
        for n in range(2)
    ]
    write_shard(folder / "teacher-0000", pairs, embed_windows)
    write_shard(folder / "real-0000", [Utterance(name="r", clips={"c": speak(250)})], embed_windows)
    codes = sum(-(-one.gpt_frames // 4) for _, one in SpeechStore(list_shards(folder)).utterances)
    drafts = np.arange(2 * codes).reshape(2, codes) % 6
    np.save(folder / "teacher-0000" / "drafts.npy", drafts.astype(np.int16))
    return SpeechStore(list_shards(folder))


@pytest.fixture(autouse=True)
def random_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    similarity = SpeakerSimilarity(make_encoder().model)
    monkeypatch.setattr("recipes.train_codec_decoder.load_similarity", lambda name: similarity)


def train(store: SpeechStore, folder: Path, report: ProgressReporter | None = None) -> SpeakerCodec:
    recognizer = PhoneRecognizer(8, 1)
    torch.nn.init.zeros_(recognizer.conv_out.weight)
    return train_codec_decoder(
        RECIPE, make_codec(), recognizer, store, folder, report or ProgressReporter()
    )


def test_drafts_are_read_where_their_utterance_begins(store: SpeechStore) -> None:
    names = [utterance.name for _, utterance in store.utterances]
    first, second, recording = (names.index(name) for name in ("0", "1", "r"))
    codes = -(-store.utterances[first][1].gpt_frames // 4)
    found = store.read_drafts(second, 3, 4)
    assert found is not None and found[0].tolist() == [(codes + 3 + n) % 6 for n in range(4)]
    assert store.read_drafts(recording, 0, 4) is None


def test_items_from_drafts_are_always_told_their_phones(store: SpeechStore) -> None:
    options = replace(BATCHES, size=40, drafted=0.5, told_phones=0.0)
    batch = CodecBatches(store, options).sample(make_step_generator(1, 0))
    drafted = (batch.drafts[:, 1] != NO_DRAFT).all(1)
    assert torch.equal(drafted, (batch.drafts != NO_DRAFT).any(-1).any(-1))
    assert 0 < drafted.sum() < len(drafted)
    assert torch.equal(drafted, batch.shares.sum((1, 2)) > 0)
    own = (batch.drafts[drafted, 0] == NO_DRAFT).float().mean()
    assert 0 < own < 0.7  # some keep the melody of the recording


def test_only_the_decoder_changes(store: SpeechStore, tmp_path: Path) -> None:
    before, after = make_codec().state_dict(), train(store, tmp_path / "run").state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder"}


def test_the_result_keeps_a_share_of_the_decoder_before() -> None:
    before, after = make_codec(0), make_codec(1)
    wanted = 0.25 * before.decoder.conv_out.weight + 0.75 * after.decoder.conv_out.weight
    encoder = after.encoder.conv_out.weight.clone()
    mixed = mix_weights(before, after, 0.25)
    torch.testing.assert_close(mixed.decoder.conv_out.weight, wanted)
    assert torch.equal(mixed.encoder.conv_out.weight, encoder)


def test_an_interrupted_run_ends_exactly_like_one_that_was_not(
    store: SpeechStore, tmp_path: Path
) -> None:
    whole = train(store, tmp_path / "whole")

    def stop_after_three(event: ProgressEvent) -> None:
        if event.done == 3:
            (tmp_path / "cut" / "stop").touch()

    train(store, tmp_path / "cut", ProgressReporter(stop_after_three))
    (tmp_path / "cut" / "stop").unlink()
    begun = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["step"]
    assert 0 < begun < RECIPE.steps
    resumed = train(store, tmp_path / "cut")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_recognizer_learns_which_phone_is_where(store: SpeechStore, tmp_path: Path) -> None:
    recipe = PhoneRecognizerRecipe(
        width=12, blocks=1, steps=60, rate=1e-2, warm_up=5, masked_frames=2, dropout=0,
        batches=replace(BATCHES, size=6, parallel=1.0),
    )  # fmt: skip
    recognizer = train_phone_recognizer(recipe, store, tmp_path / "run", ProgressReporter())
    assert not recognizer.training
    lines = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").open()]
    assert lines[-1]["phone"] < 0.5 * lines[0]["phone"]


def test_unknown_phones_are_not_judged() -> None:
    mel = torch.randn(2, 100, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    recognizer = PhoneRecognizer(8, 1)
    unknown = torch.full((2, 16), UNKNOWN_PHONE)
    assert compute_phone_loss(compute_phone_errors(recognizer, mel, unknown), unknown).item() == 0
    known = unknown.clone()
    known[0, 3] = 2
    compute_phone_loss(compute_phone_errors(recognizer, mel, known), known).backward()
    assert mel.grad is not None and mel.grad[0].abs().sum() > 0 == mel.grad[1].abs().sum()


def test_phones_that_are_as_clear_as_in_the_recording_are_not_made_clearer() -> None:
    errors = torch.tensor([[0.1, 0.5, 2.0, 9.0]], requires_grad=True)
    natural = torch.tensor([[0.3, 0.5, 0.5, 0.0]])
    loss = compute_phone_loss(errors, torch.tensor([[1, 2, 3, UNKNOWN_PHONE]]), natural)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert errors.grad is not None and errors.grad[0].tolist() == pytest.approx([0, 0, 1 / 3, 0])


def test_drafts_have_the_timing_of_their_utterance(tmp_path: Path) -> None:
    bundle, shard = tmp_path / "bundle", tmp_path / "store" / "teacher-0000"
    make_phoneme_bundle(bundle)
    gpt, codec = load_network(bundle, "gpt"), load_network(bundle, "dvae")
    assert isinstance(gpt, Gpt) and isinstance(codec, SpeakerCodec)
    write_shard(shard, [Utterance(name="4", clips={"a": speak(200), "b": speak(300)})],
                embed_windows)  # fmt: skip
    units = round(SECONDS * 24_000 / DURATION_UNIT)
    rows = [
        CorpusRow(shard="0000.npy", start=0, samples=36_000, speaker=name, text="A.", sentence=4,
                  phonemes="_ɑ_", durations=(4, units - 8, 4))
        for name in ("a", "b")
    ]  # fmt: skip
    writer = DraftWriter(gpt, codec, load_tokenizer(bundle), load_mel_stats(bundle).norms)
    writer.write(shard, rows, ProgressReporter())
    found = np.load(shard / "drafts.npy")
    frames = SpeechStore([shard]).utterances[0][1].gpt_frames
    assert found.shape == (2, -(-frames // 4)) and found.dtype == np.int16
    assert found.min() >= 0 and found.max() < codec.config.codes
    assert not np.array_equal(found[0], found[1])
    (shard / "drafts.npy").unlink()
    writer.write(shard, rows, ProgressReporter())
    assert np.array_equal(found, np.load(shard / "drafts.npy"))  # it follows from the sentence
