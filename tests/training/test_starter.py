"""The starter is built by one command: every stage runs, goes on, and the bundle speaks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from jobs.report import Reporter
from speech.clip import Clip
from tortoise.engine import TortoiseEngine
from tortoise.options import TortoiseOptions
from training.codes import SpokenCorpus
from training.corpus.reader import read_index, wave_of
from training.corpus.speakers import SAMPLE_RATE
from training.latents import Latents
from training.recipes import Recipes
from training.starter import STAGES, Workshop

pytestmark = pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A work folder in which all stages have run at a tiny size."""
    shop = Workshop(
        folder=tmp_path_factory.mktemp("work"), report=Reporter(), recipes=Recipes.tiny()
    )
    for stage in STAGES.values():
        stage(shop)
    return shop


def test_every_network_of_a_starter_lands_in_the_bundle(shop: Workshop) -> None:
    names = {path.stem for path in (shop.folder / "starter").glob("*.safetensors")}
    assert names == {
        "gpt", "dvae", "clvp", "cvvp", "diffusion", "vocoder", "random_gpt", "random_diffusion",
        "mel_stats",
    }  # fmt: skip


def test_the_bundle_speaks_from_clips_of_the_corpus(shop: Workshop) -> None:
    row = read_index(shop.corpus)[-1]
    wave = torch.from_numpy(wave_of(shop.corpus, row).copy()).float() / 32768
    clip = Clip(wave=wave, sample_rate=SAMPLE_RATE)
    engine = TortoiseEngine.load(shop.folder / "starter", torch.device("cpu"))
    options = TortoiseOptions(samples=2, iterations=2, cond_free=False, seed=1, max_codes=20)
    said = engine.synthesize(
        "Good evening.", engine.condition([clip], Reporter()), options, Reporter()
    )
    assert len(said) == 1 and torch.isfinite(said[0].wave).all() and said[0].duration_s > 0.1


def test_every_clip_has_as_many_latents_as_codes(shop: Workshop) -> None:
    rows = read_index(shop.corpus)
    spoken = SpokenCorpus(shop.corpus, rows)
    latents = Latents(shop.corpus, rows, spoken)
    width = shop.recipes.gpt.architecture.model_dim
    for index, clip in enumerate(spoken.clips):
        assert latents[index].shape == (len(clip.codes), width)
        assert torch.isfinite(latents[index]).all()


def test_a_stage_that_has_finished_does_nothing_when_it_is_run_again(shop: Workshop) -> None:
    before = {p: p.stat().st_mtime_ns for p in (shop.folder / "corpus").rglob("*.npy")}
    STAGES["corpus"](shop)
    STAGES["features"](shop)
    assert before == {p: p.stat().st_mtime_ns for p in (shop.folder / "corpus").rglob("*.npy")}


def test_a_stage_before_its_time_says_which_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the stage dvae first"):
        Workshop(folder=tmp_path, report=Reporter()).finished().dvae()
