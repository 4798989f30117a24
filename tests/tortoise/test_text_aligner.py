"""The text aligner: exact shares of codes, padding without effect, a GPT that follows durations."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from core.progress import ProgressReporter
from text.phones import PHONES, SILENCE, UNKNOWN_PHONE
from text.tokenizer import PhonemeTokenizer
from tortoise.generation.sampling import SamplingOptions, sample_codes
from tortoise.generation.text_plan import compute_phone_shares, list_phone_classes, plan_text
from tortoise.modules.gpt import Gpt, GptConfig
from tortoise.modules.text_aligner import compute_overlap
from training.finetuning.optim.gpt_loss import (
    GptBatch,
    compute_gpt_losses,
    compute_packed_latents,
)

ALIGNED = GptConfig(
    layers=2, model_dim=32, heads=2, max_text_tokens=60, max_mel_tokens=60, number_mel_codes=66,
    start_mel_token=64, stop_mel_token=65, conditioning_depth=1, dropout=0.0, attention_dropout=0.0,
    aligner_width=16, aligner_depth=2,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Item:
    """A clip of random tokens and codes."""

    text: Tensor
    codes: Tensor


@pytest.fixture(scope="module")
def gpt() -> Gpt:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gpt(ALIGNED).eval()


def make_item(tokens: int, codes: int, seed: int) -> tuple[Item, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    durations = torch.rand(tokens + 1, generator=generator) + 0.1
    item = Item(
        text=torch.randint(1, 200, (tokens,), generator=generator),
        codes=torch.randint(64, (codes,), generator=generator),
    )
    return item, durations * codes / durations.sum()


def test_codes_are_shared_by_the_tokens_that_overlap_them() -> None:
    weights, place = compute_overlap(torch.tensor([[1.5, 0.0, 2.0, 0.5]]), 5)
    assert weights[0].tolist() == [
        [1, 0, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 1, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1],
    ]  # fmt: skip
    assert place[0, :, 0].tolist() == pytest.approx([0.5 / 1.5, 1, 1, 1, 1])
    assert place[0, 2, 2] == pytest.approx(0.5)


@torch.no_grad()
def test_padding_does_not_change_latents_or_losses(gpt: Gpt) -> None:
    items, durations = zip(*(make_item(5, 9, 1), make_item(11, 20, 2)), strict=True)
    voice = torch.randn(2, 32, generator=torch.Generator().manual_seed(3))
    both = GptBatch.collate(items, durations=durations)
    together = compute_packed_latents(gpt, voice, both)
    losses = []
    for row, item in enumerate(items):
        alone = GptBatch.collate([item], durations=[durations[row]])
        losses.append(compute_gpt_losses(gpt, voice[row : row + 1], alone))
        latents = compute_packed_latents(gpt, voice[row : row + 1], alone)
        assert torch.allclose(latents[0], together[row, : len(item.codes)], atol=1e-5)
    joint = compute_gpt_losses(gpt, voice, both)
    expected = (losses[0].mel * 10 + losses[1].mel * 21) / 31
    assert joint.mel == pytest.approx(float(expected), abs=1e-5)
    assert joint.duration == pytest.approx(
        float((losses[0].duration * 5 + losses[1].duration * 11) / 16), abs=1e-5
    )


@torch.no_grad()
def test_a_code_depends_on_the_text_at_its_place(gpt: Gpt) -> None:
    item, durations = make_item(6, 12, 4)
    voice = torch.zeros(1, 32)
    moved = durations.flip(0)
    first = compute_packed_latents(gpt, voice, GptBatch.collate([item], durations=[durations]))
    other = compute_packed_latents(gpt, voice, GptBatch.collate([item], durations=[moved]))
    assert not torch.allclose(first, other, atol=1e-3)


def test_missing_durations_are_refused(gpt: Gpt) -> None:
    item, _ = make_item(4, 6, 5)
    with pytest.raises(ValueError, match="need the durations"):
        compute_gpt_losses(gpt, torch.zeros(1, 32), GptBatch.collate([item]))


@torch.no_grad()
def test_every_candidate_has_the_length_of_the_plan(gpt: Gpt) -> None:
    voice = torch.randn(1, 32, generator=torch.Generator().manual_seed(6))
    text = torch.tensor([[5, 9, 30, 7, 0]])
    plan = plan_text(gpt, voice, text)
    assert plan is not None
    codes = len(plan.aligned)
    assert plan.durations.sum() == pytest.approx(codes, abs=1e-4)
    options = SamplingOptions(samples=3, top_k=1, temperature=1.0, repetition_penalty=1.0)
    generator = torch.Generator().manual_seed(7)
    report = ProgressReporter()
    drawn = sample_codes(
        gpt, voice, text, options, generator, report, aligned=plan.aligned
    )  # fmt: skip
    assert [(len(one.codes), one.finished) for one in drawn] == [(codes, True)] * 3
    latents = gpt.latents(voice, text, drawn[0].codes[None], plan.aligned[None])
    logits = gpt.mel_head(latents)[0, :, :64]  # without start and stop
    assert drawn[0].codes.tolist() == logits.argmax(-1).tolist()


@torch.no_grad()
@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_scales_the_plan(gpt: Gpt, speed: float) -> None:
    voice = torch.zeros(1, 32)
    text = torch.randint(1, 200, (1, 40), generator=torch.Generator().manual_seed(8))
    normal = plan_text(gpt, voice, text)
    other = plan_text(gpt, voice, text, speed)
    assert normal is not None and other is not None
    spoken = normal.durations[1:].sum() / speed
    assert other.durations[1:].sum() == pytest.approx(float(spoken), abs=1.0)


def test_a_published_gpt_has_no_plan() -> None:
    assert plan_text(Gpt(GptConfig.tiny()), torch.zeros(1, 32), torch.tensor([[5, 0]])) is None


def test_phones_follow_their_durations() -> None:
    classes = torch.tensor([SILENCE, PHONES.index("HH"), UNKNOWN_PHONE, PHONES.index("OW")])
    shares = compute_phone_shares(classes, torch.tensor([1.0, 0.75, 0.5, 1.0]), 5)
    assert shares.shape == (len(PHONES), 10)
    assert shares[SILENCE].tolist() == [1, 1] + 8 * [0]
    torch.testing.assert_close(shares[PHONES.index("HH")][2:5], torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(shares.sum(0)[3:5], torch.tensor([0.5, 0.5]))
    assert shares[PHONES.index("OW")][5:].tolist() == [1] * 5  # the last one goes on


def test_the_classes_of_tokens_are_those_of_the_starter() -> None:
    tokenizer = PhonemeTokenizer(
        symbols=("[STOP]", "[SPACE]", "AH0", "OW1", ","), load_pronouncer=Mock()
    )
    classes = list_phone_classes(tokenizer)
    assert classes is not None
    expected = [SILENCE, UNKNOWN_PHONE, PHONES.index("AH"), PHONES.index("OW"), SILENCE]
    assert classes.tolist() == expected
    assert list_phone_classes(Mock()) is None
