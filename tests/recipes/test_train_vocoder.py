from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.io import read_clip
from core.progress import ProgressReporter
from recipes.data.segments import HOP_LENGTH, SegmentConfig, WavePool, draw_batch
from recipes.discriminators import Discriminator, DiscriminatorConfig
from recipes.train_vocoder import HELD_OUT_STEP, VocoderRecipe, train_vocoder
from tortoise.checkpoints.loading import load_network
from tortoise.modules.univnet import UnivNet, UnivNetConfig

TINY = UnivNetConfig(
    noise_dim=2, channel_size=4, dilations=(1,), predictor_width=4, strides=(8, 8, 4)
)


def hum(hz: float) -> np.ndarray:
    wave = 0.4 * np.sin(2 * np.pi * hz * np.arange(9000) / 24_000)
    return (32767 * wave).astype(np.int16)


POOLS = [WavePool(waves=[hum(200), hum(300)], share=0.75), WavePool(waves=[hum(400)], share=0.25)]


def recipe(steps: int = 4) -> VocoderRecipe:
    return VocoderRecipe(
        architecture=TINY,
        critics=DiscriminatorConfig.tiny(),
        segments=SegmentConfig(samples=2048, batch=2),
        steps=steps,
        critics_from=2,
        critic_samples=1024,
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
    exported = load_network(tmp_path / "export", "vocoder")
    assert isinstance(exported, UnivNet) and exported.config == TINY
    for name, value in average.state_dict().items():
        assert torch.equal(value, exported.state_dict()[name])


def test_a_few_steps_bring_the_spectra_closer(tmp_path: Path) -> None:
    config = VocoderRecipe(
        architecture=TINY,
        segments=SegmentConfig(samples=2048, batch=2),
        steps=20,
        critics_from=20,
        rate=1e-2,
        averaging=0.5,
        report_every=20,
        judge_every=20,
        warm_up=1,
    )
    train_vocoder(config, POOLS, POOLS, tmp_path / "thirty", ProgressReporter())
    (last,) = diary(tmp_path / "thirty")
    assert last["held_log_magnitude"] < 2.0  # 3.4 before the first step


def test_a_batch_depends_on_its_step_alone() -> None:
    config = SegmentConfig(samples=1024, batch=3)
    once, again = draw_batch(POOLS, config, 7), draw_batch(POOLS, config, 7)
    other = draw_batch(POOLS, config, 8)
    assert torch.equal(once.wave, again.wave) and torch.equal(once.mel, again.mel)
    assert not torch.equal(once.wave, other.wave)
    assert not torch.equal(once.wave, draw_batch(POOLS, config, HELD_OUT_STEP).wave)


def test_segments_have_as_many_samples_as_their_mel_says() -> None:
    batch = draw_batch(POOLS, SegmentConfig(samples=1024, batch=3), 0)
    assert batch.mel.shape == (3, 100, 4) and batch.wave.shape == (3, 4 * HOP_LENGTH)
    assert batch.wave.abs().max() <= 0.41


def test_a_wave_shorter_than_a_segment_is_followed_by_silence() -> None:
    pool = WavePool(waves=[hum(200)[:1500]])
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
