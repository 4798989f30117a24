"""The starter is built by one command: every stage runs, goes on, and the bundle speaks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from core.progress import ProgressReporter
from quick.teacher import SAMPLE_RATE
from recipes import build_codec, train_speaker_codec
from recipes.build_starter import STAGES, BuildContext
from recipes.corpus.reader import read_index, read_wave
from recipes.recipes import Recipes
from support.tiny_codec import make_encoder
from tortoise.checkpoints.loading import load_network
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions

pytest.importorskip("hibari")
pytest.importorskip("onnx")
pytest.importorskip("pyworld")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> BuildContext:
    """A work folder in which all stages have run at a tiny size."""
    shop = BuildContext(
        folder=tmp_path_factory.mktemp("work"), report=ProgressReporter(), recipes=Recipes.tiny()
    )
    encoder = make_encoder()
    with pytest.MonkeyPatch.context() as patch:
        for module in (build_codec, train_speaker_codec):
            patch.setattr(module, "load_vector_encoder", lambda name: encoder)
        for stage in STAGES.values():
            stage(shop)
    return shop


def test_every_network_of_a_starter_lands_in_the_bundle(shop: BuildContext) -> None:
    names = {path.stem for path in (shop.folder / "starter").glob("*.safetensors")}
    assert names == {
        "gpt", "dvae", "istft_vocoder", "random_gpt", "random_speaker",
        "speaker_encoder", "mel_stats",
    }  # fmt: skip


def test_the_bundle_speaks_from_clips_of_the_corpus(shop: BuildContext) -> None:
    row = read_index(shop.corpus)[-1]
    wave = torch.from_numpy(read_wave(shop.corpus, row).copy()).float() / 32768
    clip = Clip(wave=wave, sample_rate=SAMPLE_RATE)
    engine = TortoiseEngine.load(shop.folder / "starter", torch.device("cpu"))
    options = TortoiseOptions(samples=2, seed=1)
    voice = engine.condition([clip], ProgressReporter())
    output = engine.synthesize("Good evening.", voice, options, ProgressReporter())
    said = [candidate.clip for candidate in output.candidates]
    assert len(said) == 1 and torch.isfinite(said[0].wave).all() and said[0].duration_s > 0.1


def test_the_bundle_makes_up_a_speaker(shop: BuildContext) -> None:
    engine = TortoiseEngine.load(shop.folder / "starter", torch.device("cpu"))
    voice = engine.sample_random_speaker(4, ProgressReporter())
    vector = voice.tensors["speaker"]
    assert vector.shape == (1, 256) and (vector >= 0).all()
    torch.testing.assert_close(vector.norm(), torch.tensor(1.0))


def test_a_codec_is_exported_with_the_decoder_of_the_last_stage(
    shop: BuildContext, tmp_path: Path
) -> None:
    model = shutil.copytree(shop.folder / "starter", tmp_path / "model")
    (model / "dvae.safetensors").unlink()
    build_codec.export_codec(shop.recipes, shop.folder, model)
    exported, outputs = load_network(model, "dvae"), shop.get_finished_networks()
    before, after = outputs.codec("codec"), outputs.codec()
    found = exported.get_submodule("decoder.conv_out").weight
    torch.testing.assert_close(found, after.decoder.conv_out.weight.half().to(found))
    assert not torch.equal(before.decoder.conv_out.weight, after.decoder.conv_out.weight)


def test_solo_shards_hold_one_speaker(shop: BuildContext) -> None:
    speakers = {row.speaker for row in read_index(shop.corpus) if row.shard == "0002.npy"}
    assert len(speakers) == 1


def test_a_stage_that_has_finished_does_nothing_when_it_is_run_again(shop: BuildContext) -> None:
    before = {p: p.stat().st_mtime_ns for p in (shop.folder / "corpus").rglob("*.npy")}
    STAGES["teacher"](shop)
    STAGES["features"](shop)
    assert before == {p: p.stat().st_mtime_ns for p in (shop.folder / "corpus").rglob("*.npy")}


def test_a_stage_before_its_time_says_which_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the stage decoder first"):
        BuildContext(folder=tmp_path, report=ProgressReporter()).get_finished_networks().codec()
