"""The whole pipeline against the reference, stage by stage with the reference's random draws."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from audio.clip import Clip
from core.progress import ProgressReporter
from support.diffusion_helpers import config_of as diffusion_config
from support.golden_cases import GOLDEN, Call, Case, golden, load_strictly
from support.gpt_helpers import drawn_as_the_original, gpt_of
from text.tokenizer import load_tokenizer
from tortoise.checkpoints.config import ModelConventions
from tortoise.generation import diffusion
from tortoise.generation import vocoding as vocoders
from tortoise.generation.code_postprocessing import find_silence_start
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.pipeline import (
    ConditioningLatents,
    append_silence,
    compute_gpt_latents,
    encode_text,
    generate_mel,
    make_generator,
    prepare_codes_for_ranking,
)
from tortoise.generation.reranking import (
    combine_scores,
    compute_clvp_scores,
    compute_cvvp_scores,
    rank_candidates,
)
from tortoise.generation.sampling import CodeCandidate
from tortoise.generation.vocoding import vocode
from tortoise.generation.voice_conditioning import (
    ConditioningOptions,
    encode_cvvp_conditioning,
    encode_diffusion_conditioning,
    encode_gpt_conditioning,
    split_clips_for_diffusion,
    split_clips_for_gpt,
)
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.cvvp import Cvvp, CvvpConfig
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.gpt import Gpt, GptConfig
from tortoise.modules.vocoders.univnet import UnivNet, UnivNetConfig


def test_latents_kept_while_sampling_are_taken_where_the_codes_are_the_same() -> None:
    torch.manual_seed(0)
    gpt = Gpt(GptConfig.tiny()).eval()
    voice = ConditioningLatents(gpt=torch.randn(1, 32))
    text, codes = torch.tensor([[3, 4, 5, 0]]), torch.tensor([7, 8, 9])
    kept = torch.randn(4, 32)
    sampled = CodeCandidate(codes=codes, finished=True, confidence=0.0, latents=kept)

    @torch.no_grad()
    def latents(*row: int) -> Tensor:
        chosen = torch.tensor(row)
        return compute_gpt_latents(gpt, voice, text, chosen, sampled=sampled)[0]

    @torch.no_grad()
    def computed(*row: int) -> Tensor:
        return gpt.latents(voice.gpt, text, torch.tensor([row]))[0]

    for same in ((7, 8), (7, 8, 9), (7, 8, 9, 1), (7, 8, 1)):  # the last code comes after it
        assert torch.equal(latents(*same), kept[: len(same)])
    for other in ((7, 1, 9), (7, 8, 9, 1, 1)):
        assert torch.equal(latents(*other), computed(*other))
    sampled = replace(sampled, latents=None)
    assert torch.equal(latents(7, 8), computed(7, 8))


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    gpt: Gpt
    clvp: Clvp
    cvvp: Cvvp | None
    decoder: DiffusionDecoder
    vocoder: UnivNet


def load(case: Case) -> Loaded:
    sizes = case.constructor
    clvp, cvvp, vocoder = sizes["clvp"], sizes.get("cvvp"), sizes["vocoder"]
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
    if cvvp is not None:
        nets["cvvp"] = Cvvp(
            CvvpConfig(
                codes=cvvp["mel_codes"],
                dim=cvvp["model_dim"],
                heads=cvvp["transformer_heads"],
                voice_depth=cvvp["conditioning_enc_depth"],
                speech_depth=cvvp["speech_enc_depth"],
                latent_multiplier=cvvp["latent_multiplier"],
            )
        )
    for name, net in nets.items():
        load_strictly(net, case.state(name))
    return Loaded(
        gpt=gpt_of(sizes["autoregressive"], case.state("autoregressive")),
        clvp=nets["clvp"],
        cvvp=nets.get("cvvp"),
        decoder=nets["diffusion"],
        vocoder=nets["vocoder"],
    )


def listen(nets: Loaded, call: Call) -> ConditioningLatents:
    """The reference's way to hear a voice, with our functions."""
    norms = load_file(GOLDEN.parent / "mel_norms.safetensors")["mel_norms"]
    clips = [Clip(wave=wave, sample_rate=22_050) for wave in call.args["voice_samples"]]
    hearing, conventions = ConditioningOptions(crop="original"), ModelConventions()
    pieces = split_clips_for_gpt(clips, hearing, conventions)
    return ConditioningLatents(
        gpt=encode_gpt_conditioning(nets.gpt, pieces, norms, ProgressReporter()),
        diffusion=encode_diffusion_conditioning(
            nets.decoder,
            split_clips_for_diffusion(clips, hearing, conventions),
            "original",
            ProgressReporter(),
        ),
        cvvp=nets.cvvp and encode_cvvp_conditioning(nets.cvvp, pieces, norms),
    )


def draw(gpt: Gpt, voice: ConditioningLatents, text: Tensor, args: Mapping[str, Any]) -> Tensor:
    """All samples, in the reference's batches of two, padded with stop: (n, m)."""
    rng = torch.Generator().manual_seed(args["use_deterministic_seed"])
    batches = [
        drawn_as_the_original(gpt, (voice.gpt, text), 2, args["max_mel_tokens"], args, rng)
        for _ in range(args["num_autoregressive_samples"] // 2)
    ]
    stop = gpt.config.stop_mel_token
    longest = args["max_mel_tokens"]
    return torch.cat([F.pad(rows, (0, longest - rows.shape[1]), value=stop) for rows in batches])


def as_drafts(padded: Tensor, stop: int) -> list[CodeCandidate]:
    """What our sampler would have returned for rows padded with stop."""
    lengths = [int((row == stop).int().argmax()) if stop in row else len(row) for row in padded]
    return [
        CodeCandidate(codes=row[:length], finished=length < len(row), confidence=0.0)
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

        conventions = ModelConventions(max_codes=args["max_mel_tokens"])
        padded = draw(nets.gpt, voice, text, args)
        call.check(sampled_codes_padded=padded)
        drafts = as_drafts(padded, nets.gpt.config.stop_mel_token)
        rows = prepare_codes_for_ranking(drafts, nets.gpt.config, conventions)
        call.check(fixed_codes=torch.stack(rows))

        clvp = compute_clvp_scores(nets.clvp, text, rows, ProgressReporter())
        call.check(clvp_scores=clvp)
        cvvp = None
        if nets.cvvp is not None and voice.cvvp is not None:
            cvvp = compute_cvvp_scores(nets.cvvp, voice.cvvp, rows, ProgressReporter())
            per_call = call.outputs["cvvp_scores_calls"].value  # (batches x clips, rows of a batch)
            expected = per_call.unflatten(0, (-1, len(args["voice_samples"]))).mean(1).flatten()
            torch.testing.assert_close(cvvp, expected, atol=3.1e-5, rtol=1e-4)

        # the reference ranks rows that never stopped like the others
        order = rank_candidates(
            combine_scores(clvp, cvvp, args["cvvp_amount"]), [drafts[0]] * len(drafts)
        )
        best = [rows[index] for index in order[: args["k"]]]
        call.check(best_codes=torch.stack(best))
        latents = [compute_gpt_latents(nets.gpt, voice, text, row) for row in best]
        call.check(best_latents=torch.cat(latents))
        check_sound(case, nets, voice, (best, latents), monkeypatch)


def without_cvvp(case: Case) -> Case:
    """The same case as the reference would have made it without CVVP, up to the ranking."""
    bare = Case(case.path)
    description = deepcopy(case.json)
    del description["constructor"]["cvvp"]
    [call] = description["calls"]
    call["args"]["cvvp_amount"] = 0
    for name in list(call["outputs"]):
        if name.startswith(("cvvp", "best", "mel", "wav")):
            del call["outputs"][name]
    bare.__dict__["json"] = description
    return bare


@golden("e2e_mini")
def test_a_case_without_cvvp_is_ranked_by_clvp_alone(case: Case) -> None:
    bare = without_cvvp(case)
    [call] = bare.calls
    nets = load(bare)
    with torch.inference_mode():
        voice = listen(nets, call)
        call.check(auto_latent=voice.gpt, diffusion_latent=voice.diffusion)
        text = encode_text(load_tokenizer(GOLDEN.parent), call.args["text"], 400)
        rows = list(call.outputs["fixed_codes"].value)
        clvp = compute_clvp_scores(nets.clvp, text, rows, ProgressReporter())
    call.check(clvp_scores=clvp)
    assert nets.cvvp is None and voice.cvvp is None
    ended = CodeCandidate(codes=rows[0], finished=True, confidence=0.0)
    order = rank_candidates(combine_scores(clvp, None, 0), [ended] * len(rows))
    assert list(order) == clvp.argsort(descending=True).tolist()


def check_sound(
    case: Case,
    nets: Loaded,
    voice: ConditioningLatents,
    chosen: tuple[list, list],
    monkeypatch: Any,
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
    monkeypatch.setattr(diffusion, "make_noise_source", lambda generator: lambda like: next(draws))
    monkeypatch.setattr(vocoders.torch, "randn", lambda *shape, **_: next(draws))
    for index, (codes, latents) in enumerate(zip(*chosen, strict=True)):
        kept = latents[:, : find_silence_start(codes, ModelConventions())]
        mel = generate_mel(nets.decoder, voice, kept, index, options, ProgressReporter())
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
    with pytest.raises(ValueError, match="makes 9 tokens; these weights support at most 8"):
        encode_text(Letters(), "a" * 9, 10)


def test_rows_are_ranked_filled_up_or_bare_as_the_weights_say() -> None:
    drafts = [CodeCandidate(codes=torch.tensor([5, 6]), finished=True, confidence=0.0)]
    filled = prepare_codes_for_ranking(drafts, GptConfig.released(), ModelConventions())
    bare = prepare_codes_for_ranking(
        drafts, GptConfig.released(), ModelConventions(clvp_trims_codes=True)
    )
    assert filled[0].shape == (500,)
    assert bare[0].tolist() == [5, 6]


def test_a_draft_of_no_codes_is_ranked_as_silence() -> None:
    empty = [CodeCandidate(codes=torch.tensor([], dtype=torch.long), finished=True, confidence=0.0)]
    conventions = replace(ModelConventions(), clvp_trims_codes=True)
    assert prepare_codes_for_ranking(empty, GptConfig.released(), conventions)[0].tolist() == [83]


def test_a_wave_ends_in_silence_without_a_click() -> None:
    wave = torch.ones(24_000)
    ended = append_silence(wave, 21, ModelConventions())
    assert ended.shape == (24_000 + round(21 * 1024 / 22_050 * 24_000),)
    assert torch.equal(ended[:23_700], wave[:23_700])
    assert ended.diff().abs().max() < 0.01
    assert append_silence(wave, 0, ModelConventions()) is wave


def test_places_of_one_request_draw_different_numbers_and_repeat() -> None:
    def first(*place: str | int) -> float:
        return torch.rand(1, generator=make_generator(7, *place)).item()

    assert first("draft") == first("draft")
    assert len({first("draft"), first("denoise", 0), first("denoise", 1), first("vocode", 1)}) == 4
