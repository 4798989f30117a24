"""CVVP agrees with the reference and judges a draft by all clips of a voice."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from support.golden_cases import Case, golden, load_strictly
from support.published_layers import published_shapes, shapes_of
from tortoise.modules.cvvp import Cvvp, CvvpConfig


def config_of(published: dict[str, Any]) -> CvvpConfig:
    """Our words for the constructor of the reference."""
    return CvvpConfig(
        mel_bands=published.get("mel_channels", 80),
        codes=published["mel_codes"],
        dim=published["model_dim"],
        heads=published["transformer_heads"],
        voice_depth=published["conditioning_enc_depth"],
        speech_depth=published["speech_enc_depth"],
        latent_multiplier=published["latent_multiplier"],
    )


@golden("cvvp")
def test_scores_and_loss_agree_with_the_reference(case: Case) -> None:
    cvvp: Any = load_strictly(Cvvp(config_of(case.constructor)), case.state())
    for call in case.calls:
        mel, speech = call.args["mel_cond"], call.args["mel_input"]
        similarity = cvvp.compare(cvvp.encode_voice(mel), cvvp.encode_speech(speech))
        ours = {"score": similarity.diagonal(), "loss": cvvp(mel, speech)}
        call.check(**{name: ours[name] for name in call.outputs})


@pytest.mark.golden
def test_the_released_size_has_the_published_keys() -> None:
    with torch.device("meta"):
        assert shapes_of(Cvvp(CvvpConfig.released())) == published_shapes("cvvp.pth")


def tiny(codes: int | None = 24) -> Cvvp:
    torch.manual_seed(0)
    config = CvvpConfig(mel_bands=8, codes=codes, dim=16, heads=1, voice_depth=1, speech_depth=1)
    return Cvvp(config).eval()


def test_the_score_of_several_clips_is_the_mean_of_their_scores() -> None:
    cvvp, clips, codes = tiny(), torch.randn(3, 8, 40), torch.randint(24, (5, 9))
    alone = torch.stack([cvvp.score(clip[None], codes) for clip in clips])
    torch.testing.assert_close(cvvp.score(clips, codes), alone.mean(0))


def test_speech_may_come_as_mel_where_the_network_says_so() -> None:
    cvvp = tiny(codes=None)
    assert cvvp.score(torch.randn(1, 8, 40), torch.randn(5, 8, 30)).shape == (5,)


def test_training_teaches_voices_to_find_their_codes_under_bfloat16() -> None:
    cvvp = tiny().train()
    mel, codes = torch.randn(6, 8, 40), torch.randint(24, (6, 10))
    optimizer = torch.optim.AdamW(cvvp.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = cvvp(mel, codes)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
