"""What is heard of a voice: the original's windows, and whole clips cut evenly."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from audio.clip import Clip
from audio.mel import gpt_mel, resample, vocoder_mel
from core.progress import ProgressReporter
from support.golden_cases import GOLDEN, Case, golden
from tortoise.checkpoints.config import ModelConventions
from tortoise.generation.voice_conditioning import (
    ConditioningOptions,
    encode_cvvp_conditioning,
    encode_diffusion_conditioning,
    encode_gpt_conditioning,
    pad_or_trim,
    split_clips_for_diffusion,
    split_clips_for_gpt,
    split_evenly,
)
from tortoise.modules.cvvp import Cvvp, CvvpConfig
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.gpt import Gpt, GptConfig

PUBLISHED = ModelConventions()
NORMS = -torch.linspace(2, 8, 80)


@golden("conditioning_audio")
def test_windows_and_mels_agree_with_the_reference(case: Case) -> None:
    norms = load_file(GOLDEN.parent / "mel_norms.safetensors")["mel_norms"]
    for call in case.calls:
        wave = call.args["wav_int16"]
        [(name, expected)] = call.outputs.items()
        if call.method == "format_conditioning":
            piece = pad_or_trim(wave, PUBLISHED.gpt_clip_samples, call.args["crop_start"] or 0)
            actual = gpt_mel(piece, norms)
            frames = call.args["frames_stored"]
            first, last = (0, None) if frames == "all" else map(int, frames.split(":"))
            call.check(**{name: actual[..., first:last].view_as(expected.value)})
            continue
        there = resample(wave, PUBLISHED.gpt_rate, PUBLISHED.sample_rate)
        if name.startswith("resampled"):
            call.check(**{name: there[: expected.value.numel()].view_as(expected.value)})
        else:
            first, last = map(int, name.split("_")[-2:])
            mel = vocoder_mel(pad_or_trim(there, PUBLISHED.diffusion_clip_samples))[..., first:last]
            call.check(**{name: mel.view_as(expected.value)})


def clips(*seconds: float) -> list[Clip]:
    rng = torch.Generator().manual_seed(0)
    return [
        Clip(wave=0.1 * torch.randn(round(s * 22_050), generator=rng), sample_rate=22_050)
        for s in seconds
    ]


def test_whole_clips_are_heard_to_the_last_sample() -> None:
    wave = torch.arange(1000.0)
    pieces = split_evenly(wave, 300)
    assert torch.equal(torch.cat(pieces), wave)
    assert {len(piece) for piece in pieces} == {250}


def test_whole_pieces_are_no_longer_than_trained_or_asked() -> None:
    trained = split_clips_for_gpt(clips(14.0, 2.0), ConditioningOptions(), PUBLISHED)
    assert [len(p) for p in trained] == [102_900] * 3 + [44_100]
    asked = split_clips_for_gpt(clips(14.0, 2.0), ConditioningOptions(chunk_s=7.5), PUBLISHED)
    assert [len(p) for p in asked] == [154_350] * 2 + [44_100]


@pytest.mark.parametrize(
    ("crop", "windows"), [("original", [1, 1]), ("chunks", [3, 1]), ("clip_mean", [3, 1])]
)
def test_the_original_hears_windows_of_fixed_length(crop: str, windows: list[int]) -> None:
    hearing = ConditioningOptions(crop=crop)  # type: ignore[arg-type]
    assert [len(p) for p in split_clips_for_gpt(clips(10, 2), hearing, PUBLISHED)] == [132_300] * 2
    pieces = split_clips_for_diffusion(clips(10, 2), hearing, PUBLISHED)
    assert [len(of_clip) for of_clip in pieces] == windows
    assert {len(piece) for of_clip in pieces for piece in of_clip} == {102_400}


def test_the_random_window_is_the_same_every_time() -> None:
    first, again = (
        split_clips_for_gpt(clips(10), ConditioningOptions(crop="original"), PUBLISHED)
        for _ in range(2)
    )
    assert torch.equal(first[0], again[0])


def test_longer_pieces_count_for_more() -> None:
    torch.manual_seed(0)
    gpt = Gpt(GptConfig.tiny()).eval()
    for block in gpt.conditioning_encoder.attn:
        torch.nn.init.normal_(block.proj_out.weight, std=0.1)
    long, short = (clip.wave for clip in clips(2.0, 1.0))

    def hear(*pieces: Tensor) -> Tensor:
        with torch.no_grad():
            return encode_gpt_conditioning(gpt, pieces, NORMS, ProgressReporter())

    expected = (2 * hear(long) + hear(short)) / 3
    torch.testing.assert_close(hear(long, short), expected)
    assert not torch.allclose(hear(long), hear(short), atol=1e-3)


def test_a_mean_per_clip_differs_from_the_mean_over_all_time() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(DiffusionConfig(width=16, layers=1, heads=2, mel_bands=100)).eval()
    pieces = [[clip.wave for clip in clips(1, 1)], [clip.wave for clip in clips(1)]]
    with torch.no_grad():
        means = [
            encode_diffusion_conditioning(decoder, pieces, crop, ProgressReporter())
            for crop in ("chunks", "clip_mean")
        ]
    assert means[0].shape == means[1].shape == (1, 32)
    assert not torch.allclose(*means)


def test_one_mean_voice_scores_like_the_mean_over_clips() -> None:
    torch.manual_seed(0)
    cvvp = Cvvp(CvvpConfig(mel_bands=80, codes=24, dim=16, heads=1, voice_depth=1, speech_depth=1))
    waves = [clip.wave for clip in clips(1, 1)]
    codes = torch.randint(0, 24, (1, 9))
    with torch.no_grad():
        mels = torch.cat([gpt_mel(wave, NORMS) for wave in waves])
        expected = cvvp.eval().score(mels, codes)
        heard = encode_cvvp_conditioning(cvvp, waves, NORMS)
        spoken = torch.nn.functional.normalize(cvvp.encode_speech(codes), dim=-1)
        actual = (spoken * heard).sum(-1) * cvvp.temperature.exp()
    torch.testing.assert_close(actual, expected)
