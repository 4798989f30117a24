"""The whole pipeline against the reference, stage by stage with the reference's random draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from diffusion_cases import config_of as diffusion_config
from golden_cases import GOLDEN, Call, Case, golden, load_strictly
from gpt_cases import drawn_as_the_original, gpt_of
from jobs.report import Reporter
from speech.clip import Clip
from tortoise import diffusion, vocoders
from tortoise.clvp import Clvp, ClvpConfig
from tortoise.config import Conventions
from tortoise.cvvp import Cvvp, CvvpConfig
from tortoise.decode import Draft
from tortoise.diffusion_decoder import DiffusionDecoder
from tortoise.gpt import Gpt, GptConfig
from tortoise.options import TortoiseOptions
from tortoise.pipeline import (
    Voice,
    encode_text,
    end_in_silence,
    find_latents,
    rows_to_rank,
    stream,
    to_mel,
)
from tortoise.ranking import best_first, clvp_scores, cvvp_scores, mix
from tortoise.tokenizer import load_tokenizer
from tortoise.tokens import calm_cut
from tortoise.univnet import UnivNet, UnivNetConfig
from tortoise.vocoders import vocode
from tortoise.voice import (
    Hearing,
    diffusion_pieces,
    gpt_pieces,
    hear_for_cvvp,
    hear_for_diffusion,
    hear_for_gpt,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    gpt: Gpt
    clvp: Clvp
    cvvp: Cvvp
    decoder: DiffusionDecoder
    vocoder: UnivNet


def load(case: Case) -> Loaded:
    sizes = case.constructor
    clvp, cvvp, vocoder = sizes["clvp"], sizes["cvvp"], sizes["vocoder"]
    nets: dict[str, Any] = {
        "clvp": Clvp(
            ClvpConfig(
                text_tokens=clvp["num_text_tokens"],
                codes=clvp["num_speech_tokens"],
                text_dim=clvp["dim_text"],
                speech_dim=clvp["dim_speech"],
                latent_dim=clvp["dim_latent"],
                text_depth=clvp["text_enc_depth"],
                speech_depth=clvp["speech_enc_depth"],
                text_heads=clvp["text_heads"],
                speech_heads=clvp["speech_heads"],
            )
        ),
        "cvvp": Cvvp(
            CvvpConfig(
                codes=cvvp["mel_codes"],
                dim=cvvp["model_dim"],
                heads=cvvp["transformer_heads"],
                voice_depth=cvvp["conditioning_enc_depth"],
                speech_depth=cvvp["speech_enc_depth"],
                latent_multiplier=cvvp["latent_multiplier"],
            )
        ),
        "diffusion": DiffusionDecoder(diffusion_config(sizes["diffusion"])),
        "vocoder": UnivNet(
            UnivNetConfig(
                noise_dim=vocoder["noise_dim"],
                channel_size=vocoder["channel_size"],
                dilations=tuple(vocoder["dilations"]),
                strides=tuple(vocoder["strides"]),
            )
        ),
    }
    for name, net in nets.items():
        load_strictly(net, case.state(name))
    return Loaded(
        gpt=gpt_of(sizes["autoregressive"], case.state("autoregressive")),
        clvp=nets["clvp"],
        cvvp=nets["cvvp"],
        decoder=nets["diffusion"],
        vocoder=nets["vocoder"],
    )


def listen(nets: Loaded, call: Call) -> Voice:
    """The reference's way to hear a voice, with our functions."""
    norms = load_file(GOLDEN.parent / "mel_norms.safetensors")["mel_norms"]
    clips = [Clip(wave=wave, sample_rate=22_050) for wave in call.args["voice_samples"]]
    hearing, conventions = Hearing(crop="original"), Conventions()
    pieces = gpt_pieces(clips, hearing, conventions)
    return Voice(
        gpt=hear_for_gpt(nets.gpt, pieces, norms, Reporter()),
        diffusion=hear_for_diffusion(
            nets.decoder, diffusion_pieces(clips, hearing, conventions), "original", Reporter()
        ),
        cvvp=hear_for_cvvp(nets.cvvp, pieces, norms),
    )


def draw(gpt: Gpt, voice: Voice, text: Tensor, args: Mapping[str, Any]) -> Tensor:
    """All samples, in the reference's batches of two, padded with stop: (n, m)."""
    rng = torch.Generator().manual_seed(args["use_deterministic_seed"])
    batches = [
        drawn_as_the_original(gpt, (voice.gpt, text), 2, args["max_mel_tokens"], args, rng)
        for _ in range(args["num_autoregressive_samples"] // 2)
    ]
    stop = gpt.config.stop_mel_token
    longest = args["max_mel_tokens"]
    return torch.cat([F.pad(rows, (0, longest - rows.shape[1]), value=stop) for rows in batches])


def as_drafts(padded: Tensor, stop: int) -> list[Draft]:
    """What our sampler would have returned for rows padded with stop."""
    lengths = [int((row == stop).int().argmax()) if stop in row else len(row) for row in padded]
    return [
        Draft(codes=row[:length], finished=length < len(row), confidence=0.0)
        for row, length in zip(padded, lengths, strict=True)
    ]


@golden("e2e_mini")
def test_every_stage_agrees_with_the_reference(case: Case, monkeypatch: Any) -> None:
    [call] = case.calls
    nets, args = load(case), call.args
    with torch.inference_mode():
        voice = listen(nets, call)
        call.check(auto_latent=voice.gpt, diffusion_latent=voice.diffusion)

        text = encode_text(load_tokenizer(GOLDEN.parent), args["text"], 400)
        call.check(text_tokens=text)

        conventions = Conventions(max_codes=args["max_mel_tokens"])
        padded = draw(nets.gpt, voice, text, args)
        call.check(sampled_codes_padded=padded)
        drafts = as_drafts(padded, nets.gpt.config.stop_mel_token)
        rows = rows_to_rank(drafts, nets.gpt.config, conventions)
        call.check(fixed_codes=torch.stack(rows))

        clvp = clvp_scores(nets.clvp, text, rows, Reporter())
        call.check(clvp_scores=clvp)
        cvvp = cvvp_scores(nets.cvvp, voice.cvvp, rows, Reporter())
        per_call = call.outputs["cvvp_scores_calls"].value  # (batches x clips, rows of a batch)
        expected = per_call.unflatten(0, (-1, len(args["voice_samples"]))).mean(1).flatten()
        torch.testing.assert_close(cvvp, expected, atol=3.1e-5, rtol=1e-4)

        # the reference ranks rows that never stopped like the others
        order = best_first(mix(clvp, cvvp, args["cvvp_amount"]), [drafts[0]] * len(drafts))
        best = [rows[index] for index in order[: args["k"]]]
        call.check(best_codes=torch.stack(best))
        latents = [find_latents(nets.gpt, voice, text, row) for row in best]
        call.check(best_latents=torch.cat(latents))
        check_sound(case, nets, voice, (best, latents), monkeypatch)


def check_sound(
    case: Case, nets: Loaded, voice: Voice, chosen: tuple[list, list], monkeypatch: Any
) -> None:
    [call] = case.calls
    args, draws = call.args, iter(case.rng)
    options = TortoiseOptions(
        iterations=args["diffusion_iterations"],
        diffusion_sampler="p",
        cond_free=args["cond_free"],
        cond_free_k=args["cond_free_k"],
        diffusion_temperature=args["diffusion_temperature"],
    )
    monkeypatch.setattr(diffusion, "noise_source", lambda generator: lambda like: next(draws))
    monkeypatch.setattr(vocoders.torch, "randn", lambda *shape, **_: next(draws))
    for index, (codes, latents) in enumerate(zip(*chosen, strict=True)):
        kept = latents[:, : calm_cut(codes, Conventions())]
        mel = to_mel(nets.decoder, voice, kept, index, options, Reporter())
        wave = vocode(nets.vocoder, mel, torch.Generator())
        call.check(**{f"mel{index}": mel, f"wav{index}": wave[:, None]})
    assert next(draws, None) is None, "the reference drew more often"


class Letters:
    """A tokenizer that knows one id per letter."""

    size = 30

    def clean(self, text: str) -> str:
        return text

    def encode(self, text: str) -> list[int]:
        return [ord(letter) % 27 + 1 for letter in text if letter.isalpha()]

    def pieces(self, text: str) -> list[str]:
        return list(text)


def test_a_text_ends_with_one_stop() -> None:
    assert encode_text(Letters(), "ab", 400)[0].tolist() == [17, 18, 0]


def test_a_text_with_nothing_to_say_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nothing to speak in '\.\.\.!'"):
        encode_text(Letters(), " ...! ", 400)


def test_a_text_beyond_the_limit_is_refused_with_both_numbers() -> None:
    assert encode_text(Letters(), "a" * 8, 10).shape == (1, 9)
    with pytest.raises(ValueError, match="makes 9 tokens; these weights speak at most 8"):
        encode_text(Letters(), "a" * 9, 10)


def test_rows_are_ranked_filled_up_or_bare_as_the_weights_say() -> None:
    drafts = [Draft(codes=torch.tensor([5, 6]), finished=True, confidence=0.0)]
    filled = rows_to_rank(drafts, GptConfig.released(), Conventions())
    bare = rows_to_rank(drafts, GptConfig.released(), Conventions(clvp_trims_codes=True))
    assert filled[0].shape == (500,)
    assert bare[0].tolist() == [5, 6]


def test_a_draft_of_no_codes_is_ranked_as_silence() -> None:
    empty = [Draft(codes=torch.tensor([], dtype=torch.long), finished=True, confidence=0.0)]
    conventions = replace(Conventions(), clvp_trims_codes=True)
    assert rows_to_rank(empty, GptConfig.released(), conventions)[0].tolist() == [83]


def test_a_wave_ends_in_silence_without_a_click() -> None:
    wave = torch.ones(24_000)
    ended = end_in_silence(wave, 21, Conventions())
    assert ended.shape == (24_000 + round(21 * 1024 / 22_050 * 24_000),)
    assert torch.equal(ended[:23_700], wave[:23_700])
    assert ended.diff().abs().max() < 0.01
    assert end_in_silence(wave, 0, Conventions()) is wave


def test_places_of_one_request_draw_different_numbers_and_repeat() -> None:
    def first(*place: str | int) -> float:
        return torch.rand(1, generator=stream(7, *place)).item()

    assert first("draft") == first("draft")
    assert len({first("draft"), first("denoise", 0), first("denoise", 1), first("vocode", 1)}) == 4
