"""CLVP agrees with the reference, ignores padding when told, and learns who belongs to whom."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from support.golden_cases import Case, golden, load_strictly
from support.published_layers import published_shapes, shapes_of
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.transformer import RotaryEmbedding, apply_rotary_embedding


def config_of(published: dict[str, Any]) -> ClvpConfig:
    """Our words for the constructor of the reference."""
    return ClvpConfig(
        text_tokens=published["num_text_tokens"],
        codes=published["num_speech_tokens"],
        text_dim=published["dim_text"],
        speech_dim=published["dim_speech"],
        latent_dim=published["dim_latent"],
        text_depth=published["text_enc_depth"],
        speech_depth=published["speech_enc_depth"],
        text_heads=published["text_heads"],
        speech_heads=published["speech_heads"],
    )


@golden("clvp")
def test_scores_latents_and_loss_agree_with_the_reference(case: Case) -> None:
    clvp: Any = load_strictly(Clvp(config_of(case.constructor)), case.state())
    for call in case.calls:
        text, codes = call.args["text"], call.args["speech_tokens"]
        text_latents, speech_latents = clvp.encode_text(text), clvp.encode_speech(codes)
        ours = {
            "score": clvp.compare(text_latents, speech_latents).diagonal(),
            "text_latent_raw": text_latents,
            "speech_latent_raw": speech_latents,
            "loss": clvp(text, codes),
        }
        call.check(**{name: ours[name] for name in call.outputs})


@pytest.mark.golden
def test_the_released_size_has_the_published_keys() -> None:
    with torch.device("meta"):
        assert shapes_of(Clvp(ClvpConfig.released())) == published_shapes("clvp2.pth")


def tiny() -> Clvp:
    torch.manual_seed(0)
    return Clvp(ClvpConfig.tiny()).eval()


def test_drafts_of_one_text_score_as_if_the_text_were_repeated() -> None:
    clvp, text, codes = tiny(), torch.randint(40, (1, 7)), torch.randint(24, (5, 9))
    repeated = clvp.compare(clvp.encode_text(text.repeat(5, 1)), clvp.encode_speech(codes))
    torch.testing.assert_close(clvp.score(text, codes), repeated.diagonal())


def test_masked_padding_changes_nothing_and_unmasked_padding_does() -> None:
    clvp, codes = tiny(), torch.randint(24, (2, 9))
    padded = torch.cat([codes, torch.full((2, 6), 3)], dim=1)
    mask = torch.arange(15).expand(2, 15) < 9
    torch.testing.assert_close(clvp.encode_speech(padded, mask), clvp.encode_speech(codes))
    assert not torch.allclose(clvp.encode_speech(padded), clvp.encode_speech(codes), atol=1e-3)


def test_masked_text_padding_changes_nothing() -> None:
    clvp, text = tiny(), torch.randint(40, (2, 9))
    padded = torch.cat([text, torch.zeros(2, 4, dtype=torch.long)], dim=1)
    mask = torch.arange(13).expand(2, 13) < 9
    torch.testing.assert_close(clvp.encode_text(padded, mask), clvp.encode_text(text))


def test_rotation_makes_scores_depend_on_distance_only() -> None:
    q, k = torch.randn(1, 1, 1, 64), torch.randn(1, 1, 1, 64)
    rotation = RotaryEmbedding()(20)
    queries, keys = (
        apply_rotary_embedding(q.expand(1, 1, 20, 64), rotation),
        apply_rotary_embedding(k.expand(1, 1, 20, 64), rotation),
    )
    scores = (queries @ keys.transpose(-1, -2))[0, 0]
    torch.testing.assert_close(scores[3, 7], scores[12, 16], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(scores[3, 7], scores[3, 12], rtol=1e-3)
    torch.testing.assert_close(queries[..., 32:], q[..., 32:].expand(1, 1, 20, 32))


def test_the_order_of_codes_matters() -> None:
    clvp, codes = tiny(), torch.arange(12)[None]
    assert not torch.allclose(
        clvp.encode_speech(codes), clvp.encode_speech(codes.flip(1)), atol=1e-3
    )


def test_training_teaches_partners_to_find_each_other_under_bfloat16() -> None:
    clvp = tiny().train()
    text, codes = torch.randint(40, (6, 8)), torch.randint(24, (6, 10))
    optimizer = torch.optim.AdamW(clvp.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = clvp(text, codes)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    clvp.eval()
    similarity = clvp.compare(clvp.encode_text(text), clvp.encode_speech(codes))
    assert similarity.argmax(1).tolist() == list(range(6))
