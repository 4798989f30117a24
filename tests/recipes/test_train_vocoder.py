from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.io import read_clip
from audio.mel import vocoder_mel
from core.progress import ProgressReporter
from recipes.data.segments import (
    CONTEXT_FRAMES,
    HOP_LENGTH,
    STFT_FRAMES,
    SegmentConfig,
    WavePool,
    draw_batch,
    interpolate_f0,
)
from recipes.export_bundle import replace_vocoder
from recipes.losses.discriminators import Discriminator, DiscriminatorConfig
from recipes.train_vocoder import HELD_OUT_STEP, VocoderRecipe, perturb_mel, train_vocoder
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.config import read_config
from tortoise.checkpoints.loading import load_network
from tortoise.checkpoints.verify import verify_model_folder
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, IstftVocoderConfig

TINY = IstftVocoderConfig.tiny()


def hum(hz: float) -> np.ndarray:
    wave = 0.4 * np.sin(2 * np.pi * hz * np.arange(9000) / 24_000)
    return (32767 * wave).astype(np.int16)


def pitch(hz: float) -> np.ndarray:
    return np.full(36, hz, np.float32)


POOLS = [
    WavePool(waves=[hum(200), hum(300)], f0=[pitch(200), pitch(300)], share=0.75),
    WavePool(waves=[hum(400)], f0=[pitch(400)], share=0.25),
]


def recipe(steps: int = 4) -> VocoderRecipe:
    return VocoderRecipe(
        architecture=TINY,
        critics=DiscriminatorConfig.tiny(),
        segments=SegmentConfig(samples=2048, batch=2),
        steps=steps,
        critics_from=2,
        critic_samples=1024,
        own_f0_from=1,
        warm_up=1,
        report_every=1,
        judge_every=2,
    )


def diary(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


class StopsAfter(ProgressReporter):
    """Puts `stop` into a run's folder once so many steps are done."""

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(lambda event: event.done >= steps and (folder / "stop").touch())


def test_interrupted_equals_uninterrupted(tmp_path: Path) -> None:
    whole = train_vocoder(recipe(), POOLS, POOLS, tmp_path / "whole", ProgressReporter())
    halves = tmp_path / "halves"
    train_vocoder(recipe(), POOLS, POOLS, halves, StopsAfter(halves, 3))
    (halves / "stop").unlink()
    assert diary(halves)[-1]["step"] == 3
    resumed = train_vocoder(recipe(), POOLS, POOLS, halves, ProgressReporter())
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_diary_tells_when_the_critics_join(tmp_path: Path) -> None:
    train_vocoder(recipe(), POOLS, POOLS, tmp_path, ProgressReporter())
    lines = diary(tmp_path)
    assert ["critics" in line for line in lines] == [False, False, True, True]
    assert ["held_mel" in line for line in lines] == [False, True, False, True]


def test_a_sample_is_spoken_beside_each_judgement(tmp_path: Path) -> None:
    train_vocoder(recipe(2), POOLS, POOLS, tmp_path, ProgressReporter())
    (sample,) = (tmp_path / "samples").iterdir()
    assert sample.name == "000002.wav"
    assert read_clip(sample).wave.shape == (9000 // HOP_LENGTH * HOP_LENGTH + HOP_LENGTH,)


def test_the_export_loads_as_a_network_of_a_bundle(tmp_path: Path) -> None:
    average = train_vocoder(recipe(2), POOLS, POOLS, tmp_path, ProgressReporter())
    exported = load_network(tmp_path / "export", "istft_vocoder")
    assert isinstance(exported, IstftVocoder) and exported.config == TINY
    for name, value in average.state_dict().items():
        assert torch.equal(value, exported.state_dict()[name])


def test_the_export_replaces_the_vocoder_of_a_bundle(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", seed=0)
    train_vocoder(recipe(2), POOLS, POOLS, tmp_path / "run", ProgressReporter())
    replace_vocoder(bundle, tmp_path / "run" / "export")
    config = read_config(bundle)
    assert config.vocoder is None and config.istft_vocoder == TINY
    assert config.advice["vocoder"] == "istft" and not (bundle / "vocoder.safetensors").exists()
    assert not any(fault for _, fault in verify_model_folder(bundle, ProgressReporter()))


def test_a_few_steps_bring_the_spectra_closer(tmp_path: Path) -> None:
    config = VocoderRecipe(
        architecture=TINY,
        segments=SegmentConfig(samples=2048, batch=2),
        steps=20,
        rate=1e-2,
        averaging=0.5,
        report_every=20,
        judge_every=20,
        warm_up=1,
    )
    train_vocoder(config, POOLS, POOLS, tmp_path / "thirty", ProgressReporter())
    (last,) = diary(tmp_path / "thirty")
    assert last["held_log_magnitude"] < 2.0
    assert last["held_f0_cents"] < 400  # 700 before the first step


def test_a_batch_depends_on_its_step_alone() -> None:
    config = SegmentConfig(samples=1024, batch=3)
    once, again = draw_batch(POOLS, config, 7), draw_batch(POOLS, config, 7)
    other = draw_batch(POOLS, config, 8)
    assert torch.equal(once.wave, again.wave) and torch.equal(once.mel, again.mel)
    assert not torch.equal(once.wave, other.wave)
    assert not torch.equal(once.wave, draw_batch(POOLS, config, HELD_OUT_STEP).wave)


def test_segments_have_as_many_samples_as_their_mel_says() -> None:
    batch = draw_batch(POOLS, SegmentConfig(samples=1024, batch=3, gains_db=(-6.0, 0.0)), 0)
    frames = 4 + 2 * CONTEXT_FRAMES
    assert batch.mel.shape == (3, 100, frames) and batch.wave.shape == (3, 4 * HOP_LENGTH)
    assert batch.f0.shape == (3, frames) and batch.wave.abs().max() <= 0.41


def test_the_mel_of_a_segment_is_that_of_its_samples() -> None:
    batch = draw_batch(POOLS, SegmentConfig(samples=4096, batch=1, gains_db=(0.0, 0.0)), 0)
    inner = batch.mel[..., CONTEXT_FRAMES:-CONTEXT_FRAMES]
    alone = vocoder_mel(batch.wave)[..., : inner.shape[-1]]
    torch.testing.assert_close(inner[..., 2:-2], alone[..., 2:-2], rtol=1e-3, atol=1e-3)


def test_f0_is_read_between_frames_without_mixing_in_silence() -> None:
    f0 = np.array([0, 100, 200, 0], np.float32)
    found = interpolate_f0(f0, np.array([0.4, 0.6, 1.5, 2.4, 2.6, 9.0]))
    assert found.tolist() == [0, 100, 150, 200, 0, 0]


def test_perturbed_mels_differ_by_little_and_the_wave_stays() -> None:
    batch = draw_batch(POOLS, SegmentConfig(samples=4096, batch=8), 0)
    other = perturb_mel(batch, torch.Generator().manual_seed(1))
    changes = (other.mel - batch.mel).abs().mean((1, 2))
    assert (changes > 0.02).any() and changes.max() < 1.0
    assert other.mel.shape == batch.mel.shape and torch.equal(other.wave, batch.wave)


def test_the_learning_rate_is_constant_before_it_falls() -> None:
    plan = VocoderRecipe(steps=1000, warm_up=10, decay_share=0.3)
    rates = [plan.compute_rate(step, 1.0) for step in (0, 10, 699, 850, 999)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.51, 0.02], abs=1e-3)


def test_a_wave_shorter_than_a_segment_is_followed_by_silence() -> None:
    context = (CONTEXT_FRAMES + STFT_FRAMES) * HOP_LENGTH
    pool = WavePool(waves=[hum(200)[: 500 + context]], f0=[pitch(200)])
    batch = draw_batch([pool], SegmentConfig(samples=2048, batch=1), 0)
    assert batch.wave[0, 600:].abs().max() == 0 and batch.wave[0, :400].abs().max() > 0.05
    assert torch.allclose(batch.mel[0, :, -1], torch.tensor(1e-5).log())


def test_an_uneven_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 256"):
        SegmentConfig(samples=1000)


def test_critics_have_the_published_parameters(manifest_critics: dict[str, list[int]]) -> None:
    with torch.device("meta"):
        critics = Discriminator(DiscriminatorConfig.released())
    assert {k: list(v.shape) for k, v in critics.state_dict().items()} == manifest_critics


@pytest.fixture
def manifest_critics() -> dict[str, list[int]]:
    from support.golden_cases import GOLDEN

    manifest = GOLDEN.parent / "manifest.json"
    if not manifest.exists():
        pytest.skip(f"no {manifest}")
    entry = json.loads(manifest.read_text())["checkpoints"]["vocoder.pth (training extras)"]
    return {row["key"]: row["shape"] for row in entry["state_dict"]}
