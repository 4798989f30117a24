"""The diffusion network's training lowers the error, and an interruption leaves no trace."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from audio.mel import LOG_MEL_MAX, LOG_MEL_MIN, VOCODER_MEL, denormalize_mel
from core.progress import ProgressEvent, ProgressReporter
from recipes.data.codes import TokenizedClip, TokenizedCorpus
from recipes.data.voice_augmentation import AugmentationOptions
from recipes.train_diffusion import (
    NO_AUGMENTATION,
    DiffusionData,
    DiffusionRecipe,
    draw_batch,
    synthesize_sample,
    train_diffusion,
    write_sample,
)
from tortoise.generation.diffusion import codes_to_frames
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.gpt import GptConfig
from tortoise.modules.vocoders.univnet import UnivNet, UnivNetConfig
from training.finetuning.optim.diffusion_loss import crop_mel

WIDTH = GptConfig.tiny().model_dim
RECIPE = DiffusionRecipe(
    architecture=replace(DiffusionConfig.tiny(), latent_width=WIDTH, code_depth=0, codes=1),
    steps=6,
    batch=4,
    window=8,
    rate=3e-3,
    warm_up=2,
    mel_first=2,
    average=0.9,
    clean_cap=None,  # the noise error as it is
    augmented_share=0.0,
    augmentation=NO_AUGMENTATION.augmentation,
)


class ToyMels:
    """Mels of clips in memory; the duties of Features that the recipe needs."""

    def __init__(self, mels: list[Tensor]) -> None:
        self.mels = mels  # (f, c) each

    def __getitem__(self, index: int) -> Tensor:
        return self.mels[index]

    def crop(self, index: int, frames: int, generator: torch.Generator) -> Tensor:
        return self.mels[index][:frames]


class ToyCorpus(TokenizedCorpus):
    """Clips in which every code sounds always alike; two speakers take turns."""

    def __init__(self, clips: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.mels = ToyMels([torch.randn(40, 80, generator=generator) for _ in range(clips)])  # type: ignore[assignment]
        lengths = torch.randint(9, 13, (clips,), generator=generator).tolist()
        self.clips = [
            TokenizedClip(
                text=torch.randint(1, 20, (5,), generator=generator).short(),
                codes=torch.randint(0, 4, (length,), generator=generator).short(),
                speaker=number % 2,
            )
            for number, length in enumerate(lengths)
        ]
        self.by_speaker = defaultdict(list, {0: [*range(0, clips, 2)], 1: [*range(1, clips, 2)]})


def sound_of(clip: TokenizedClip) -> Tensor:
    """A mel in which code n fills band n.  Returns (f, 8) log-mel."""
    bands = torch.eye(8)[clip.codes.long()] * 1.6 - 0.8
    places = torch.arange(codes_to_frames(len(clip.codes))) * len(clip.codes)
    return denormalize_mel(bands[places // codes_to_frames(len(clip.codes))])


@pytest.fixture(scope="module")
def teaching() -> DiffusionData:
    corpus = ToyCorpus(20, seed=1)
    mels = ToyMels([sound_of(clip) for clip in corpus.clips])
    meaning = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0))  # of each code
    latents = ToyMels([meaning[clip.codes.long()] for clip in corpus.clips])
    return DiffusionData(corpus=corpus, mels=mels, latents=latents)  # type: ignore[arg-type]


def train(
    recipe: DiffusionRecipe,
    teaching: DiffusionData,
    folder: Path,
    report: ProgressReporter | None = None,
) -> DiffusionDecoder:
    return train_diffusion(recipe, teaching, teaching, folder, report or ProgressReporter())


def test_an_interrupted_run_ends_exactly_like_one_that_was_not(
    teaching: DiffusionData, tmp_path: Path
) -> None:
    whole = train(RECIPE, teaching, tmp_path / "whole")

    def stop_after_three(event: ProgressEvent) -> None:
        if event.done == 3:
            (tmp_path / "cut" / "stop").touch()

    train(RECIPE, teaching, tmp_path / "cut", ProgressReporter(stop_after_three))
    (tmp_path / "cut" / "stop").unlink()
    begun = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["step"]
    assert 0 < begun < RECIPE.steps
    resumed = train(RECIPE, teaching, tmp_path / "cut")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_the_moving_average_is_exported_and_the_last_step_is_not_it(
    teaching: DiffusionData, tmp_path: Path
) -> None:
    kept = train(RECIPE, teaching, tmp_path)
    exported = load_file(tmp_path / "export" / "diffusion.safetensors")
    assert all(torch.equal(exported[name], weight) for name, weight in kept.state_dict().items())
    last = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    assert not torch.equal(last["mel_head.weight"], kept.state_dict()["mel_head.weight"])


def test_a_held_out_clip_can_be_heard(teaching: DiffusionData, tmp_path: Path) -> None:
    net = DiffusionDecoder(RECIPE.architecture)
    vocoder = UnivNet(replace(UnivNetConfig.tiny(), mel_bands=8))
    wave = synthesize_sample(net, teaching, vocoder)
    write_sample(wave, tmp_path / "samples" / "000001.wav")
    frames = codes_to_frames(len(teaching.corpus.clips[0].codes))
    assert wave.shape == (frames * vocoder.config.hop,)
    assert (tmp_path / "samples" / "000001.wav").stat().st_size > 2 * len(wave)
    assert net.training


def test_training_lowers_the_error(teaching: DiffusionData, tmp_path: Path) -> None:
    train(replace(RECIPE, steps=60, batch=8, rate=1e-2), teaching, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    assert lines[-1]["noise"] < 0.8  # a network that names no noise misses 1
    assert lines[-1]["mel"] < 0.8 * lines[0]["mel"]


def test_the_mel_of_a_batch_lies_under_its_latents(teaching: DiffusionData) -> None:
    chosen = [3, 4, 5]
    batch = draw_batch(teaching, chosen, 6, torch.Generator().manual_seed(2))
    assert batch.mel.shape == (3, 8, codes_to_frames(6)) and batch.latents.shape == (3, 6, WIDTH)
    middles = torch.arange(6) * codes_to_frames(6) // 6 + 2  # a frame well inside each code
    for row, clip in enumerate(chosen):
        said = batch.mel[row].argmax(0)[middles]
        codes = teaching.corpus.clips[clip].codes.long().unfold(0, 6, 1)  # every stretch of it
        assert (codes == said).all(1).any()
    assert batch.speakers.tolist() == [1, 0, 1]


def test_a_disguise_is_worn_by_the_reference_and_by_the_target_alike() -> None:
    corpus = ToyCorpus(6, seed=2)
    tone = torch.full((40, VOCODER_MEL.bands), LOG_MEL_MIN)
    tone[:, 30] = 0.0
    mels, latents = ToyMels([tone] * 6), ToyMels([torch.zeros(12, WIDTH)] * 6)
    teaching = DiffusionData(corpus=corpus, mels=mels, latents=latents)  # type: ignore[arg-type]
    moved = set()
    for seed in range(8):
        ways = replace(NO_AUGMENTATION, augmented_share=1.0)
        batch = draw_batch(teaching, [0, 1, 2], 4, torch.Generator().manual_seed(seed), ways)
        heard = batch.voices[:, 0].mean(2).argmax(1)
        assert torch.equal(batch.mel.mean(2).argmax(1), heard[batch.speakers])
        moved |= set(heard.tolist())
    assert len(moved) > 3


def test_disturbing_changes_what_is_heard_and_never_what_is_wanted() -> None:
    corpus = ToyCorpus(6, seed=3)
    mels = ToyMels([torch.randn(40, VOCODER_MEL.bands) - 4 for _ in range(6)])
    latents = ToyMels([torch.zeros(12, WIDTH)] * 6)
    teaching = DiffusionData(corpus=corpus, mels=mels, latents=latents)  # type: ignore[arg-type]
    loud = replace(
        NO_AUGMENTATION, augmentation=AugmentationOptions(equalised=0.0, noisy=1.0, echoing=1.0)
    )
    clean, noisy = (
        draw_batch(teaching, [0, 1], 4, torch.Generator().manual_seed(1), ways)
        for ways in (NO_AUGMENTATION, loud)
    )
    assert torch.equal(clean.mel, noisy.mel)
    assert (noisy.voices >= clean.voices - 1e-5).all() and noisy.voices.mean() > clean.voices.mean()


def test_what_lacks_behind_the_last_frame_is_filled_with_it() -> None:
    mel = torch.linspace(LOG_MEL_MIN, LOG_MEL_MAX, 10)[:, None].repeat(1, 3)
    cut = crop_mel(mel, 0, 3)
    assert cut.shape == (3, codes_to_frames(3))
    torch.testing.assert_close(cut[:, 9:], torch.ones(3, codes_to_frames(3) - 9))
    assert crop_mel(mel, 1, 1)[0, 0] == pytest.approx(-1 + 2 * 4 / 9)
