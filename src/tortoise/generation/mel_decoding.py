"""From codes to the mel of the vocoder: the diffusion network, or the decoder of a speaker codec.

Shapes: m codes, d width of the GPT, f mel frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from tortoise.checkpoints.config import ModelConventions
from tortoise.generation.model_offload import ModelManager
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.pipeline import ConditioningLatents, generate_mel
from tortoise.generation.text_plan import TextPlan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drafts:
    """The chosen candidates: index among the samples, codes (m,), latents (1, m, d) of each.

    plan: of the text, the same for all.
    """

    indices: Sequence[int]
    codes: Sequence[Tensor]
    latents: Sequence[Tensor]
    plan: TextPlan | None = None


def decode_mels(
    manager: ModelManager,
    drafts: Drafts,
    voice: ConditioningLatents,
    options: TortoiseOptions,
    conventions: ModelConventions,
) -> list[Tensor]:
    """Return the log-mel of each draft, (1, bands, f).

    A voice with a speaker vector is decoded by the codec, any other by the diffusion network.
    """
    if voice.speaker is not None:
        with manager.use("dvae") as codec, manager.report.stage("decode"):
            rows = [row.to(voice.speaker.device)[None] for row in drafts.codes]
            phones = None if drafts.plan is None else drafts.plan.phones
            told = None if phones is None else phones[None]
            return [codec.decode(row, voice.speaker, told) for row in rows]
    most = conventions.most_iterations
    with manager.use("diffusion") as decoder:
        return [
            generate_mel(decoder, voice, latent, index, options, manager.report, most)
            for index, latent in zip(drafts.indices, drafts.latents, strict=True)
        ]
