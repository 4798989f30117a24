"""The speaker codec: exact codes, no trace of level and equaliser, and a voice from the vector."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.tiny_bundle import make_tiny_bundle
from support.tiny_codec import make_codec, make_codec_bundle
from tortoise.checkpoints.loading import load_model
from tortoise.modules.dvae import Dvae
from tortoise.modules.speaker_codec import (
    VOCODER_FRAMES_PER_CODE,
    ScalarQuantizer,
    SpeakerCodec,
    SpeakerCodecConfig,
    count_vocoder_frames,
    standardize_bands,
)


def log_mel(frames: int = 40, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 80, frames, generator=generator) * 2 - 4


def speaker(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.rand(2, 256, generator=generator), dim=1)


def test_every_code_is_read_back_as_itself() -> None:
    quantizer = ScalarQuantizer((8, 5, 5, 5)).eval()
    codes = torch.arange(1000)[None]
    vectors = quantizer.look_up(codes)
    assert vectors.shape == (1, 4, 1000) and vectors.abs().max() == 1
    unbounded = torch.atanh(vectors.clamp(-0.9999, 0.9999)) / 0.8
    unbounded = unbounded * (1 + quantizer.norm.eps) ** 0.5
    assert torch.equal(quantizer.find_codes(unbounded), codes)


def test_quantising_keeps_the_gradient_and_gives_values_of_codes() -> None:
    quantizer = ScalarQuantizer((3, 2)).train()
    hidden = torch.randn(2, 2, 9, requires_grad=True)
    vectors = quantizer(hidden)
    vectors.sum().backward()
    assert hidden.grad is not None and hidden.grad.abs().sum() > 0
    assert set(vectors[:, 0].unique().round(decimals=4).tolist()) <= {-1.0, 0.0, 1.0}


@pytest.mark.parametrize(("frames", "codes"), [(1, 1), (4, 1), (5, 2), (37, 10), (40, 10)])
def test_four_frames_become_one_code_and_decode_to_the_same_time(frames: int, codes: int) -> None:
    codec = make_codec()
    written = codec.encode(log_mel(frames))
    assert written.shape == (2, codes)
    assert written.min() >= 0 and written.max() < codec.config.codes
    mel = codec.decode(written, speaker())
    assert mel.shape == (2, 100, count_vocoder_frames(codes))
    seconds = 1024 / 22_050, VOCODER_FRAMES_PER_CODE * 256 / 24_000
    assert seconds[0] == pytest.approx(seconds[1])


def test_level_and_equaliser_do_not_change_the_codes() -> None:
    codec, mel = make_codec(), log_mel()
    curve = torch.linspace(-2, 1, 80)[:, None]
    assert torch.equal(codec.encode_log_mel(mel), codec.encode_log_mel(mel + curve))


def test_encode_takes_mels_that_are_divided_by_the_norms_of_the_model() -> None:
    codec, mel = make_codec(), log_mel()
    codec.mel_norms.copy_(-torch.rand(80) - 2)
    divided = mel / codec.mel_norms[:, None]
    assert torch.equal(codec.encode(divided), codec.encode_log_mel(mel))


def test_silence_and_a_constant_band_are_no_numbers_out_of_range() -> None:
    flat = torch.full((1, 80, 12), -11.5)
    assert torch.equal(standardize_bands(flat), torch.zeros(1, 80, 12))


def test_the_speaker_vector_changes_the_mel() -> None:
    codec = make_codec()
    codes = codec.encode(log_mel())
    one, other = codec.decode(codes, speaker(1)), codec.decode(codes, speaker(2))
    assert (one - other).abs().mean() > 1e-3


def test_a_bundle_says_which_kind_of_codebook_it_has(tmp_path: Path) -> None:
    plain = load_model(make_tiny_bundle(tmp_path / "plain")).dvae
    speaking = load_model(make_codec_bundle(tmp_path / "codec")).dvae
    assert isinstance(plain, Dvae) and isinstance(speaking, SpeakerCodec)
    assert torch.equal(speaking.encode(log_mel()), make_codec().encode(log_mel()))


def test_levels_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(ValueError, match="levels of at least 2"):
        SpeakerCodecConfig(levels=(8, 1))
