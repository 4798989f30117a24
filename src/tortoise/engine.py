"""Engine one: speaks with a bundle of TorToiSe weights."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from engines.conditioning import Conditioning
from jobs.report import Event, Reporter
from speech.clip import Clip
from speech.mel import VOCODER_MEL
from tortoise.alignment import LEAST_TRUST, align_parts
from tortoise.bundle import missing_to_speak
from tortoise.convert import read_voice_latents
from tortoise.decode import Draft
from tortoise.hifigan import decode_latents
from tortoise.networks import Bench, Networks
from tortoise.options import TortoiseOptions
from tortoise.pipeline import (
    Voice,
    draft,
    encode_text,
    end_in_silence,
    find_latents,
    rows_to_rank,
    stream,
    to_mel,
    with_seed,
)
from tortoise.ranking import best_first, clvp_scores, cvvp_scores, mix, with_confidence
from tortoise.tokens import missing_pause, spoken_codes
from tortoise.vocoders import GRIFFIN_LIM, choose_vocoder, vocode
from tortoise.voice import (
    Crop,
    Hearing,
    diffusion_pieces,
    gpt_pieces,
    hear_for_cvvp,
    hear_for_diffusion,
    hear_for_gpt,
)
from tortoise.weights import Bundle, load_bundle

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """One spoken version with what it was made from.

    codes: (m,) as spoken;  latents: (1, m, d);  score: what it was ranked by.
    """

    clip: Clip
    score: float
    codes: Tensor
    latents: Tensor
    draft_index: int
    finished: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class TortoiseEngine:
    """Speaks: drafts many readings of a text, keeps the best, and makes them sound.

    takes: those spoken last, so that parts of their text can be found in them.
    """

    name: ClassVar[str] = "tortoise"
    sample_rate: ClassVar[int] = VOCODER_MEL.sample_rate
    options: ClassVar[type] = TortoiseOptions
    conditioning_knobs: ClassVar[tuple[str, ...]] = ("voice_crop", "voice_chunk_s", "slim_latents")

    networks: Networks
    takes: list[Take] = field(default_factory=list)

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Open a bundle; its networks are read when they are first used.

        Raises ValueError for one that cannot speak.
        """
        bundle = load_bundle(weights)
        missing = missing_to_speak(weights)
        if missing:
            raise ValueError(
                f"{weights} lacks {', '.join(missing)} and cannot speak. Fetch the bundle again."
            )
        return cls(networks=Networks(bundle=bundle, device=device))

    @property
    def bundle(self) -> Bundle:
        """The weights that speak."""
        return self.networks.bundle

    @property
    def weights_id(self) -> str:
        """Name the weights: equal ids, equal numbers."""
        return self.bundle.weights_id

    @property
    def text_limit(self) -> int:
        """The most tokens that should be spoken in one piece."""
        conventions = self.bundle.conventions
        return (conventions.piece_limit or conventions.text_limit) - 2

    def count_tokens(self, text: str) -> int:
        """Say how many tokens the text makes."""
        return len(self.bundle.tokenizer.encode(text))

    def condition(self, clips: Sequence[Clip], report: Reporter) -> Conditioning:
        """Listen to whole clips of one speaker."""
        return self.condition_with(clips, TortoiseOptions(), report)

    def condition_with(
        self, clips: Sequence[Clip], options: TortoiseOptions, report: Reporter
    ) -> Conditioning:
        """Listen to clips of one speaker, the way the options say."""
        if not clips:
            raise ValueError("A voice needs at least one clip.")
        bench = self._bench(options, report)
        hearing = Hearing(crop=cast(Crop, options.voice_crop), chunk_s=options.voice_chunk_s)
        conventions = self.bundle.conventions
        norms = self.bundle.mel_stats.norms.to(self.networks.device)
        pieces = gpt_pieces(clips, hearing, conventions)
        heard = {}
        with bench.use("gpt", exact=True) as gpt:
            heard["gpt"] = hear_for_gpt(gpt, pieces, norms, report)
        with bench.use("diffusion", exact=True) as decoder:
            heard["diffusion"] = hear_for_diffusion(
                decoder, diffusion_pieces(clips, hearing, conventions), hearing.crop, report
            )
        if self.bundle.has("cvvp") and not options.slim_latents:
            with bench.use("cvvp") as cvvp:
                heard["cvvp"] = hear_for_cvvp(cvvp, pieces, norms)
        return self._conditioning(heard)

    def invent(self, seed: int, report: Reporter) -> Conditioning:
        """Make up a speaker; the same seed gives the same one."""
        if not (self.bundle.has("random_gpt") and self.bundle.has("random_diffusion")):
            raise ValueError("This bundle cannot make up voices. Name a voice, or blend some.")
        bench = self._bench(TortoiseOptions(), report)
        heard = {}
        for part in ("gpt", "diffusion"):
            with bench.use(f"random_{part}") as network:
                heard[part] = network.draw(stream(seed, "invent", part))
        return self._conditioning(heard)

    def read_latents(self, path: Path) -> Conditioning:
        """Read a voice that the original program saved as a pair of latents in a `.pth`."""
        config = self.bundle.config
        widths = config.architecture("gpt").model_dim, 2 * config.architecture("diffusion").width
        return read_voice_latents(path, self.weights_id, widths)

    def synthesize(
        self, text: str, speaker: Conditioning, options: TortoiseOptions, report: Reporter
    ) -> list[Clip]:
        """Speak the text; the best clip first."""
        takes = self.speak(text, speaker, options, report)
        scores = [take.score for take in takes]
        report.emit(Event(kind="candidates", stage="rank", data={"scores": scores}))
        return [take.clip for take in takes]

    def speak(
        self, text: str, speaker: Conditioning, options: TortoiseOptions, report: Reporter
    ) -> list[Take]:
        """Speak the text; the best take first, with all that is known about it."""
        options = with_seed(options, secrets.randbelow(2**31))
        vocoder = choose_vocoder(options.vocoder, self.bundle.config.networks)
        voice = self._voice(speaker, options)
        bench = self._bench(options, report)
        conventions = self.bundle.conventions
        ids = encode_text(self.bundle.tokenizer, text, conventions.text_limit)
        ids = ids.to(self.networks.device)
        with bench.use("gpt") as gpt:
            drafts = draft(gpt, voice, ids, options, self._longest(options), report)
        with report.stage("rank"):
            scores = self._rank(drafts, voice, ids, options, bench)
        best = best_first(scores, drafts, options.length_penalty)[: options.candidates]
        _warn_of_cuts([drafts[index] for index in best], self._longest(options), report)
        rows = [
            spoken_codes(drafts[i].codes, drafts[i].finished, options.pause_size, conventions)
            for i in best
        ]
        with bench.use("gpt", exact=True) as gpt, report.stage("latents"):
            latents = [find_latents(gpt, voice, ids, row) for row in rows]
        waves = self._sound(best, latents, voice, options, bench, vocoder)
        self.takes[:] = [
            Take(
                clip=self._clip(wave, row, options.pause_size),
                score=float(scores[index]),
                codes=row,
                latents=latent.cpu(),
                draft_index=index,
                finished=drafts[index].finished,
            )
            for index, row, latent, wave in zip(best, rows, latents, waves, strict=True)
        ]
        return list(self.takes)

    def align(
        self, parts: Sequence[str], clip: Clip, speaker: Conditioning, report: Reporter
    ) -> list[float] | None:
        """Say at which second of a take each part of its text begins; None if it cannot tell.

        Only takes of the last text spoken are known.
        """
        takes = [take for take in self.takes if take.clip.wave is clip.wave]
        if not takes:
            return None
        device, conventions = self.networks.device, self.bundle.conventions
        voice = Voice.of(speaker.tensors, device)
        with self._bench(TortoiseOptions(), report).use("gpt") as gpt:
            codes = takes[0].codes.to(device)[None]
            starts, alignment = align_parts(parts, self.bundle.tokenizer, gpt, voice.gpt, codes)
        if alignment.trust < LEAST_TRUST:
            return None
        return [start * conventions.samples_per_code / conventions.gpt_rate for start in starts]

    def _rank(
        self,
        drafts: list[Draft],
        voice: Voice,
        text: Tensor,
        options: TortoiseOptions,
        bench: Bench,
    ) -> Tensor:
        """Scores of the drafts (n,); without a judge, how sure the GPT was of them."""
        config = self.bundle.config.architecture("gpt")
        rows = rows_to_rank(drafts, config, self.bundle.conventions)
        weight = options.cvvp_weight
        clvp = cvvp = None
        if self.bundle.has("clvp") and weight < 1:
            with bench.use("clvp") as judge:
                clvp = clvp_scores(judge, text, rows, bench.report, options.sample_batch_size)
        if weight > 0 and voice.cvvp is not None:
            with bench.use("cvvp") as judge:
                cvvp = cvvp_scores(judge, voice.cvvp, rows, bench.report)
        if clvp is None and cvvp is None:
            return torch.tensor([draft.confidence for draft in drafts])
        share = self.bundle.conventions.confidence_share
        return with_confidence(mix(clvp, cvvp, weight), drafts, share)

    def _sound(
        self,
        best: Sequence[int],
        latents: Sequence[Tensor],
        voice: Voice,
        options: TortoiseOptions,
        bench: Bench,
        vocoder: str,
    ) -> list[Tensor]:
        """The waves of the chosen drafts, (n,) each on the CPU."""
        if vocoder == "hifigan":
            with bench.use(vocoder) as network, bench.report.stage("vocode"):
                straight = [decode_latents(network, latent, voice.gpt)[0] for latent in latents]
                return [wave.float().clamp(-1, 1).cpu() for wave in straight]
        most = self.bundle.conventions.most_iterations
        with bench.use("diffusion") as decoder:
            mels = [
                to_mel(decoder, voice, latent, index, options, bench.report, most)
                for index, latent in zip(best, latents, strict=True)
            ]
        waves = []
        with nullcontext() if vocoder == GRIFFIN_LIM else bench.use(vocoder) as network:
            for index, mel in zip(best, bench.report.track(mels, "vocode"), strict=True):
                noise = stream(options.seed, "vocode", index)
                waves.append(vocode(network, mel, noise)[0].cpu())
        return waves

    def _clip(self, wave: Tensor, codes: Tensor, pause: int) -> Clip:
        """The sound of a take with the pause that its codes do not have."""
        conventions = self.bundle.conventions
        missing = missing_pause(codes, pause, conventions)
        return Clip(wave=end_in_silence(wave, missing, conventions), sample_rate=self.sample_rate)

    def _voice(self, speaker: Conditioning, options: TortoiseOptions) -> Voice:
        if (speaker.engine, speaker.weights_id) != (self.name, self.weights_id):
            raise ValueError(
                f"The voice was heard with {speaker.engine} {speaker.weights_id}; these weights "
                f"are {self.name} {self.weights_id}. Make it again from its clips."
            )
        voice = Voice.of(speaker.tensors, self.networks.device)
        if options.cvvp_weight > 0 and voice.cvvp is None:
            raise ValueError(
                f"cvvp_weight is {options.cvvp_weight}, but the voice has no part for it: it is "
                "slim or made up, or the bundle has no CVVP. Set it to 0."
            )
        return voice

    def _longest(self, options: TortoiseOptions) -> int:
        most = min(
            self.bundle.conventions.max_codes,
            self.bundle.config.architecture("gpt").max_mel_tokens,
        )
        return min(options.max_codes or most, most)

    def _bench(self, options: TortoiseOptions, report: Reporter) -> Bench:
        return Bench(
            networks=self.networks,
            low_vram=options.low_vram,
            half=options.half_precision,
            report=report,
        )

    def _conditioning(self, heard: dict[str, Tensor]) -> Conditioning:
        tensors = {name: tensor.float().cpu().clone() for name, tensor in heard.items()}
        return Conditioning(engine=self.name, weights_id=self.weights_id, tensors=tensors)


def _warn_of_cuts(chosen: Sequence[Draft], longest: int, report: Reporter) -> None:
    if not all(draft.finished for draft in chosen):
        report.warn(
            f"No draft that ended within {longest} codes was left, so a take may be cut short. "
            "Split the text, or draw more samples.",
            stage="draft",
        )
