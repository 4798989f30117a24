"""The starter is built by one command: every stage runs, goes on, and the bundle speaks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from core.progress import ProgressReporter
from recipes.build_starter import STAGES, BuildContext
from recipes.corpus.reader import read_index, read_wave
from recipes.corpus.speakers import SAMPLE_RATE
from recipes.data.codes import TokenizedCorpus
from recipes.data.latents import GptLatents
from recipes.recipes import Recipes
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions

pytest.importorskip("hibari")
pytest.importorskip("onnx")
pytest.importorskip("pyworld")
pytestmark = pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> BuildContext:
    """A work folder in which all stages have run at a tiny size."""
    shop = BuildContext(
        folder=tmp_path_factory.mktemp("work"), report=ProgressReporter(), recipes=Recipes.tiny()
    )
    for stage in STAGES.values():
        stage(shop)
    return shop


def test_every_network_of_a_starter_lands_in_the_bundle(shop: BuildContext) -> None:
    names = {path.stem for path in (shop.folder / "starter").glob("*.safetensors")}
    assert names == {
        "gpt", "dvae", "clvp", "cvvp", "diffusion", "istft_vocoder", "random_gpt",
        "random_diffusion", "mel_stats",
    }  # fmt: skip


def test_the_bundle_speaks_from_clips_of_the_corpus(shop: BuildContext) -> None:
    row = read_index(shop.corpus)[-1]
    wave = torch.from_numpy(read_wave(shop.corpus, row).copy()).float() / 32768
    clip = Clip(wave=wave, sample_rate=SAMPLE_RATE)
    engine = TortoiseEngine.load(shop.folder / "starter", torch.device("cpu"))
    options = TortoiseOptions(samples=2, iterations=2, cond_free=False, seed=1, max_codes=20)
    voice = engine.condition([clip], ProgressReporter())
    output = engine.synthesize("Good evening.", voice, options, ProgressReporter())
    said = [candidate.clip for candidate in output.candidates]
    assert len(said) == 1 and torch.isfinite(said[0].wave).all() and said[0].duration_s > 0.1


def test_every_clip_has_as_many_latents_as_codes(shop: BuildContext) -> None:
    rows = read_index(shop.corpus)
    spoken = TokenizedCorpus(shop.corpus, rows)
    latents = GptLatents(shop.corpus, rows, spoken)
    width = shop.recipes.gpt.architecture.model_dim
    for index, clip in enumerate(spoken.clips):
        assert latents[index].shape == (len(clip.codes), width)
        assert torch.isfinite(latents[index]).all()


def test_a_stage_that_has_finished_does_nothing_when_it_is_run_again(shop: BuildContext) -> None:
    before = {p: p.stat().st_mtime_ns for p in (shop.folder / "corpus").rglob("*.npy")}
    STAGES["corpus"](shop)
    STAGES["features"](shop)
    assert before == {p: p.stat().st_mtime_ns for p in (shop.folder / "corpus").rglob("*.npy")}


def test_a_stage_before_its_time_says_which_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the stage dvae first"):
        BuildContext(folder=tmp_path, report=ProgressReporter()).get_finished_networks().dvae()
