"""The autoregressive network: reference vectors, then what must hold at any size."""

from __future__ import annotations

import pytest
import torch

from support.golden_cases import Call, Case, golden
from support.gpt_helpers import gpt_of
from support.published_gpt import PublishedBatch, PublishedOutputs, compute_published_outputs
from tortoise.modules.gpt import Gpt, GptConfig
from training.finetuning.optim.gpt_loss import (
    GptBatch,
    compute_gpt_losses,
    compute_packed_latents,
)


def calls(case: Case, method: str) -> list[Call]:
    return [call for call in case.calls if call.method == method]


@golden("unified_voice")
def test_conditioning_agrees_with_the_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state())
    with torch.no_grad():
        for call in calls(case, "conditioning_encoder"):
            call.check(y=gpt.conditioning_encoder(call.args["x"]))
        for call in calls(case, "get_conditioning"):
            call.check(latent=gpt.condition(call.args["speech_conditioning_input"]))


@golden("unified_voice")
def test_losses_and_latents_agree_with_the_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state())
    for call in calls(case, "forward"):
        args = call.args
        batch = PublishedBatch(
            text=args["text_inputs"],
            text_lengths=torch.as_tensor(args["text_lengths"]),
            codes=args["mel_codes"],
            wav_lengths=torch.as_tensor(args["wav_lengths"]),
        )
        with torch.no_grad():
            out = compute_published_outputs(
                gpt,
                args["speech_conditioning_latent"][:, None],
                batch,
                clip_codes=args.get("clip_inputs", True),
                text_first=args.get("text_first", True),
            )
        check_published(call, out, dropped=2)


def check_published(call: Call, out: PublishedOutputs, dropped: int) -> None:
    if "latent" in call.outputs:
        call.check(latent=out.latents[:, :-dropped])
        return
    stored = call.outputs["mel_logits"].value.shape[-1]
    call.check(
        loss_text=out.losses.text,
        loss_mel=out.losses.mel,
        mel_logits=out.mel_logits[..., :stored],
    )
    if "total" in call.outputs:
        call.check(total=out.losses.total())


@golden("unified_voice")
def test_the_second_pass_of_the_pipeline_agrees_with_the_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state())
    passes = [c for c in calls(case, "forward") if c.args.get("clip_inputs") is False]
    assert passes
    for call in passes:
        with torch.no_grad():
            latents = gpt.latents(
                call.args["speech_conditioning_latent"],
                call.args["text_inputs"],
                call.args["mel_codes"],
            )
        call.check(latent=latents)


@golden("dlas_gpt_training")
def test_training_agrees_with_the_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state(), residual_from_norm=True)
    for call in case.calls:
        args = call.args
        mels = args["speech_conditioning_input"]
        tokens = gpt.conditioning_encoder(mels.flatten(0, 1)).unflatten(0, mels.shape[:2])
        if args["average_conditioning_embeddings"]:
            tokens = tokens.mean(1, keepdim=True)
        batch = PublishedBatch(
            text=args["text_inputs"],
            text_lengths=args["text_lengths"],
            codes=args["mel_codes"],
            wav_lengths=args["wav_lengths"],
        )
        out = compute_published_outputs(gpt, tokens, batch, clip_codes=not args["tortoise_compat"])
        if call.method.startswith("backward"):
            check_gradients(gpt, call, out)
        else:
            check_published(call, out, dropped=1)


def check_gradients(gpt: Gpt, call: Call, out: PublishedOutputs) -> None:
    gpt.zero_grad()
    out.losses.total().backward()
    gradients = {name: p.grad for name, p in gpt.named_parameters()}
    norm = torch.stack([g.norm() for g in gradients.values()]).norm()
    for name in call.outputs:
        call.check(**{name: norm if name == "total_grad_norm" else gradients[name]})


@pytest.fixture
def gpt() -> Gpt:
    torch.manual_seed(0)
    return Gpt(GptConfig.tiny()).eval()


def random_batch(rows: int, seed: int) -> tuple[torch.Tensor, GptBatch]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 32, generator=rng), GptBatch(
        text=torch.randint(1, 250, (rows, 9), generator=rng),
        text_lengths=torch.randint(2, 10, (rows,), generator=rng),
        codes=torch.randint(0, 64, (rows, 12), generator=rng),
        code_lengths=torch.randint(1, 13, (rows,), generator=rng),
    )


def test_a_row_has_the_same_loss_alone_as_in_a_batch(gpt: Gpt) -> None:
    voices, batch = random_batch(3, seed=1)
    together = compute_gpt_losses(gpt, voices, batch)
    text = mel = 0.0
    for i, (t, m) in enumerate(zip(batch.text_lengths, batch.code_lengths, strict=True)):
        alone = compute_gpt_losses(
            gpt,
            voices[i : i + 1],
            GptBatch(
                text=batch.text[i : i + 1, :t],
                text_lengths=t[None],
                codes=batch.codes[i : i + 1, :m],
                code_lengths=m[None],
            ),
        )
        text += float(alone.text.detach() * (t + 1)) / int((batch.text_lengths + 1).sum())
        mel += float(alone.mel.detach() * (m + 1)) / int((batch.code_lengths + 1).sum())
    assert together.text.item() == pytest.approx(text, rel=1e-5)
    assert together.mel.item() == pytest.approx(mel, rel=1e-5)


def test_the_mel_loss_is_that_of_the_states_used_as_latents(gpt: Gpt) -> None:
    voices, batch = random_batch(1, seed=2)
    t, m = int(batch.text_lengths), int(batch.code_lengths)
    codes = torch.cat([batch.codes[:, :m], torch.tensor([[65]])], dim=1)
    text = torch.cat([batch.text[:, :t], torch.tensor([[0]])], dim=1)
    latents = gpt.latents(voices, text, codes)
    expected = torch.nn.functional.cross_entropy(gpt.mel_head(latents)[0], codes[0])
    assert compute_gpt_losses(gpt, voices, batch).mel.item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_it_learns_one_batch_under_bf16_autocast() -> None:
    torch.manual_seed(1)
    gpt = Gpt(GptConfig.tiny()).train()
    voices, batch = random_batch(2, seed=3)
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16):
            loss = compute_gpt_losses(gpt, voices, batch).total(text_weight=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_too_long_a_text_is_refused_by_its_positions(gpt: Gpt) -> None:
    with pytest.raises(ValueError, match="63 positions requested; the network has 62"):
        gpt.prefix(torch.zeros(1, 32), torch.ones(1, 61, dtype=torch.long))


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        GptConfig(model_dim=30, heads=4)
    with pytest.raises(ValueError, match="start_mel_token"):
        GptConfig(number_mel_codes=8193)


def test_packed_latents_are_those_of_each_row_alone(gpt: Gpt) -> None:
    voices, batch = random_batch(3, seed=4)
    together = compute_packed_latents(gpt, voices, batch)
    for i, (t, m) in enumerate(zip(batch.text_lengths, batch.code_lengths, strict=True)):
        text = torch.cat([batch.text[i : i + 1, :t], torch.tensor([[0]])], dim=1)
        alone = gpt.latents(voices[i : i + 1], text, batch.codes[i : i + 1, :m])
        torch.testing.assert_close(together[i : i + 1, :m], alone, atol=1e-4, rtol=1e-4)
