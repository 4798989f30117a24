"""From a voice and a text to sound: draft, rank, latents, denoise, vocode; data passes between.

    drafts = draft(gpt, voice, text, options, longest, report)
    scores = clvp_scores(clvp, text, rows_to_rank(drafts, gpt.config, conventions), report)
    best = best_first(scores, drafts)[0]
    codes = spoken_codes(drafts[best].codes, drafts[best].finished, options.pause_size, conventions)
    mel = to_mel(decoder, voice, find_latents(gpt, voice, text, codes), best, options, report)
    wave = vocode(vocoder, mel, stream(options.seed, "vocode", best))

Shapes: t text tokens, m codes, d width of the GPT, c width of the diffusion network, f mel frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from jobs.report import Reporter
from tortoise.config import Conventions
from tortoise.decode import Draft, SamplingOptions, sample_codes
from tortoise.diffusion import DenoiseOptions, Guidance, SamplerName, denoise
from tortoise.diffusion_decoder import DiffusionDecoder
from tortoise.gpt import Gpt, GptConfig
from tortoise.options import TortoiseOptions
from tortoise.tokenizer import Tokenizer
from tortoise.tokens import fill_row

STOP = 0  # of the text
FADE_OUT_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """What the networks have heard of a speaker.

    gpt: (1, d);  diffusion: (1, 2 c);  cvvp: (1, e), or None in the slim form.
    """

    gpt: Tensor
    diffusion: Tensor
    cvvp: Tensor | None = None

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], device: torch.device) -> Voice:
        """The voice in a conditioning's tensors.  Raises ValueError where a part is missing."""
        missing = [name for name in ("gpt", "diffusion") if name not in tensors]
        if missing:
            raise ValueError(f"The voice has no part {missing[0]!r}. Make it again from its clips.")
        cvvp = tensors["cvvp"].to(device) if "cvvp" in tensors else None
        return cls(
            gpt=tensors["gpt"].to(device), diffusion=tensors["diffusion"].to(device), cvvp=cvvp
        )


def encode_text(tokenizer: Tokenizer, text: str, limit: int) -> Tensor:
    """The token ids of a text and one stop: (1, t).

    Raises ValueError where nothing is left to say, or `limit` tokens or more are.
    """
    ids = tokenizer.encode(text)
    if not ids:
        raise ValueError(f"There is nothing to speak in {text.strip()[:40]!r}.")
    if len(ids) + 1 >= limit:
        raise ValueError(
            f"The text makes {len(ids)} tokens; these weights speak at most {limit - 2} at once. "
            "Split it into shorter pieces."
        )
    return torch.tensor([[*ids, STOP]])


def draft(
    gpt: Gpt,
    voice: Voice,
    text: Tensor,
    options: TortoiseOptions,
    longest: int,
    report: Reporter,
) -> list[Draft]:
    """Draw drafts of at most `longest` codes.  text: (1, t) ended by a stop."""
    sampling = SamplingOptions(
        samples=options.samples,
        max_codes=longest,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        typical_mass=options.typical_mass,
        repetition_penalty=options.repetition_penalty,
        batch=options.sample_batch_size,
    )
    conditioning = voice.gpt.to(gpt.mel_head.weight.dtype)
    return sample_codes(gpt, conditioning, text, sampling, stream(options.seed, "draft"), report)


def rows_to_rank(
    drafts: Sequence[Draft], config: GptConfig, conventions: Conventions
) -> list[Tensor]:
    """The codes of each draft as the rankers were trained to see them, (m,) each.

    Published ones only know rows filled up to their full length; our own see what is said.
    """
    if conventions.clvp_trims_codes:
        calm = torch.tensor([conventions.calm_code])
        return [draft.codes if len(draft.codes) else calm for draft in drafts]
    stop = config.stop_mel_token
    return [fill_row(draft.codes, draft.finished, stop, conventions) for draft in drafts]


def find_latents(gpt: Gpt, voice: Voice, text: Tensor, codes: Tensor) -> Tensor:
    """What the decoders hear of a draft.

    text: (1, t) ended by a stop;  codes: (m,).  Returns (1, m, d) float32.
    """
    return gpt.latents(voice.gpt, text, codes.to(text.device)[None]).float()


def to_mel(
    decoder: DiffusionDecoder,
    voice: Voice,
    latents: Tensor,
    draft_index: int,
    options: TortoiseOptions,
    report: Reporter,
    most: int = 0,
) -> Tensor:
    """Denoise one draft; its noise follows from the seed and from which draft it is.

    latents: (1, m, d);  most: iterations that the bundle is good for, 0 for any number.
    Returns (1, bands, f) log-mel.
    """
    how = DenoiseOptions(
        steps=min(options.iterations, most or options.iterations),
        sampler=cast(SamplerName, options.diffusion_sampler),
        guidance=Guidance(k=options.cond_free_k if options.cond_free else 0.0),
        temperature=options.diffusion_temperature,
    )
    noise = stream(options.seed, "denoise", draft_index)
    return denoise(decoder, latents, voice.diffusion, how, noise, report)


def end_in_silence(wave: Tensor, codes: int, conventions: Conventions) -> Tensor:
    """Fade a wave out and add so many codes of silence.  wave: (n,).  Returns (n',)."""
    if codes == 0:
        return wave
    fade = min(len(wave), round(FADE_OUT_S * conventions.sample_rate))
    falling = torch.linspace(1.0, 0.0, fade, device=wave.device)
    faded = torch.cat([wave[: len(wave) - fade], wave[len(wave) - fade :] * falling])
    seconds = codes * conventions.samples_per_code / conventions.gpt_rate
    return F.pad(faded, (0, round(seconds * conventions.sample_rate)))


def stream(seed: int | None, *place: str | int) -> torch.Generator:
    """The random numbers of one place in one request, whatever is drawn at the other places."""
    name = "/".join(map(str, (seed, *place))).encode()
    digest = hashlib.sha256(name).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def with_seed(options: TortoiseOptions, seed: int) -> TortoiseOptions:
    """The options with this seed where they have none."""
    return options if options.seed is not None else replace(options, seed=seed)
