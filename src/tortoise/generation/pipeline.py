"""The synthesis pipeline: sample candidates, rank, compute latents, run the diffusion, vocode.

    candidates = sample_candidates(gpt, voice, text, options, longest, report)
    ranked = prepare_codes_for_ranking(candidates, gpt.config, conventions)
    best = rank_candidates(compute_clvp_scores(clvp, text, ranked, report), candidates)[0]
    latents = compute_gpt_latents(gpt, voice, text, candidates[best].codes)
    mel = generate_mel(decoder, voice, latents, best, options, report)
    wave = vocode(vocoder, mel, make_generator(options.seed, "vocode", best))

Shapes: t text tokens, m codes, d width of the GPT, c width of the diffusion network, f mel frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import InvalidValueError
from core.progress import ProgressReporter
from engines.protocols import SynthesisWarning
from text.tokenizer import Tokenizer
from tortoise.checkpoints.config import ModelConventions
from tortoise.generation.batching import OnHalved, ignore_halved
from tortoise.generation.code_postprocessing import pad_codes
from tortoise.generation.diffusion import DiffusionSamplingOptions, Guidance, SamplerName, denoise
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.sampling import CodeCandidate, SamplingOptions, sample_codes
from tortoise.generation.text_plan import TextPlan
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.gpt import Gpt, GptConfig

STOP_TOKEN = 0  # of the text
FADE_OUT_S = 0.01
MOST_KEPT = 64  # candidates whose latents are kept: at most 130 MB of the published size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConditioningLatents:
    """Conditioning latents of a speaker.

    gpt: (1, d); diffusion: (1, 2 c), or of a model with a speaker codec speaker: (1, s); cvvp:
    (1, e), or None in the slim form.
    """

    gpt: Tensor
    diffusion: Tensor | None = None
    speaker: Tensor | None = None
    cvvp: Tensor | None = None

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], device: torch.device
    ) -> ConditioningLatents:
        """The voice in a conditioning's tensors.  Raises ValueError where a part is missing."""
        decoded = "speaker" if "speaker" in tensors else "diffusion"
        missing = [name for name in ("gpt", decoded) if name not in tensors]
        if missing:
            raise ValueError(
                f"The speaker latents lack {missing[0]!r}. Compute them again from "
                "the clips of the voice."
            )
        parts = ("gpt", decoded, "cvvp")
        return cls(**{name: tensors[name].to(device) for name in parts if name in tensors})


def encode_text(tokenizer: Tokenizer, text: str, limit: int) -> Tensor:
    """Tokenize a text and add a stop token: (1, t).

    Raises ValueError for an empty text, and for `limit` tokens or more.
    """
    ids = tokenizer.encode(text)
    if not ids:
        raise InvalidValueError(
            f"There is nothing to speak in {text.strip()[:40]!r}.", code="unspeakable"
        )
    if len(ids) + 1 >= limit:
        raise InvalidValueError(
            f"The text makes {len(ids)} tokens; these weights support at most {limit - 2} at "
            "once. Split it into shorter chunks.",
            code="text_too_long",
        )
    return torch.tensor([[*ids, STOP_TOKEN]])


def sample_candidates(
    gpt: Gpt,
    voice: ConditioningLatents,
    text: Tensor,
    options: TortoiseOptions,
    longest: int,
    report: ProgressReporter,
    on_halved: OnHalved = ignore_halved,
    plan: TextPlan | None = None,
) -> list[CodeCandidate]:
    """Sample candidates of at most `longest` codes, or of as many as a plan has.

    text: (1, t) ended by a stop.
    """
    is_exact = options.precision == "exact"
    sampling = SamplingOptions(
        samples=options.samples,
        max_codes=longest,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        typical_mass=options.typical_mass,
        repetition_penalty=options.repetition_penalty,
        batch=options.sample_batch_size,
        keep_latents=not is_exact and options.samples <= MOST_KEPT,
        cache="exact" if is_exact else "static" if text.is_cuda else "padded",
    )
    conditioning = voice.gpt.to(gpt.mel_embedding.weight.dtype)
    generator = make_generator(options.seed, "draft")
    aligned = None if plan is None else plan.aligned
    return sample_codes(gpt, conditioning, text, sampling, generator, report, on_halved, aligned)


def prepare_codes_for_ranking(
    candidates: Sequence[CodeCandidate], config: GptConfig, conventions: ModelConventions
) -> list[Tensor]:
    """The codes of each candidate in the form that CLVP was trained on, (m,) each.

    Published weights need rows padded to full length; our own use the codes up to the stop.
    """
    if conventions.clvp_trims_codes:
        calm = torch.tensor([conventions.calm_code])
        return [candidate.codes if len(candidate.codes) else calm for candidate in candidates]
    stop = config.stop_mel_token
    return [
        pad_codes(candidate.codes, candidate.finished, stop, conventions)
        for candidate in candidates
    ]


def compute_gpt_latents(
    gpt: Gpt,
    voice: ConditioningLatents,
    text: Tensor,
    codes: Tensor,
    plan: TextPlan | None = None,
    sampled: CodeCandidate | None = None,
) -> Tensor:
    """Compute the latents of a candidate for the decoders.

    text: (1, t) ended by a stop; codes: (m,); sampled: the candidate that the codes were cut from,
    whose latents are taken where it has them. Returns (1, m, d) float32.
    """
    kept = None if sampled is None else _find_kept_latents(sampled, codes)
    if kept is not None:
        return kept[None]
    aligned = None if plan is None else plan.aligned[None]
    return gpt.latents(voice.gpt, text, codes.to(text.device)[None], aligned).float()


def _find_kept_latents(sampled: CodeCandidate, codes: Tensor) -> Tensor | None:
    """The latents kept while sampling, (m, d); None if they are not those of all codes.

    A latent depends on the codes before it, so the last code may differ.
    """
    before = len(codes) - 1
    if sampled.latents is None or len(codes) > len(sampled.latents):
        return None
    same = torch.equal(codes[:before].cpu(), sampled.codes[:before])
    return sampled.latents[: len(codes)] if same else None


def generate_mel(
    decoder: DiffusionDecoder,
    voice: ConditioningLatents,
    latents: Tensor,
    draft_index: int,
    options: TortoiseOptions,
    report: ProgressReporter,
    most: int = 0,
) -> Tensor:
    """Run the diffusion for one candidate; its noise depends on the seed and its index.

    latents: (1, m, d); most: maximum of iterations, 0 for no maximum. Returns (1, bands, f)
    log-mel.
    """
    how = DiffusionSamplingOptions(
        steps=min(options.iterations, most or options.iterations),
        sampler=cast(SamplerName, options.diffusion_sampler),
        guidance=Guidance(k=options.cond_free_k if options.cond_free else 0.0),
        temperature=options.diffusion_temperature,
    )
    assert voice.diffusion is not None  # of a model with a diffusion network
    noise = make_generator(options.seed, "denoise", draft_index)
    return denoise(decoder, latents, voice.diffusion, how, noise, report)


def append_silence(wave: Tensor, codes: float, conventions: ModelConventions) -> Tensor:
    """Fade a wave out and add so many codes of silence.  wave: (n,).  Returns (n',)."""
    if codes == 0:
        return wave
    fade = min(len(wave), round(FADE_OUT_S * conventions.sample_rate))
    falling = torch.linspace(1.0, 0.0, fade, device=wave.device)
    faded = torch.cat([wave[: len(wave) - fade], wave[len(wave) - fade :] * falling])
    seconds = codes * conventions.samples_per_code / conventions.gpt_rate
    return F.pad(faded, (0, round(seconds * conventions.sample_rate)))


def make_generator(seed: int | None, *place: str | int) -> torch.Generator:
    """The random numbers of one place in one request, whatever is drawn at the other places."""
    name = "/".join(map(str, (seed, *place))).encode()
    digest = hashlib.sha256(name).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def fill_missing_seed(options: TortoiseOptions, seed: int) -> TortoiseOptions:
    """The options with this seed where they have none."""
    return options if options.seed is not None else replace(options, seed=seed)


def list_resolved_options(
    options: TortoiseOptions, precision: str, halved: Sequence[int]
) -> dict[str, Any]:
    """The options that the engine chose itself.  Any: each has its own type."""
    chosen: dict[str, Any] = {"sample_batch_size": min(halved)} if halved else {}
    return chosen if precision == options.precision else {**chosen, "precision": precision}


def make_warnings(
    chosen: Sequence[CodeCandidate], longest: int, halved: Sequence[int]
) -> list[SynthesisWarning]:
    """Say what the user should know about a synthesis: less memory, and cut candidates.

    chosen: the candidates to return; longest: their limit of codes; halved: batch sizes tried.
    """
    warnings = []
    if halved:
        message = f"Out of memory; continuing with {min(halved)} samples at a time."
        warnings.append(SynthesisWarning(message=message, topic="memory"))
    if not all(one.finished for one in chosen):
        message = (
            f"No candidate that ended within {longest} codes was found, so the speech may be "
            "cut off. Split the text, or raise samples."
        )
        warnings.append(SynthesisWarning(message=message))
    return warnings
