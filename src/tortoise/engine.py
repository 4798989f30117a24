"""The TorToiSe engine."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from audio.clip import Clip, change_pace
from audio.mel import VOCODER_MEL
from core.errors import InvalidValueError
from core.progress import ProgressReporter
from engines.protocols import SpeechCandidate, SynthesisOutput
from engines.speaker_latents import SpeakerLatents
from text.normalization.words import find_word_tokens
from text.tokenizer import PhonemeTokenizer, Tokenizer, with_text_cleaning
from tortoise.checkpoints.convert import read_voice_latents
from tortoise.checkpoints.layout import find_missing_files
from tortoise.checkpoints.loading import TortoiseModel, load_model
from tortoise.generation.code_postprocessing import count_missing_pause_codes, prepare_spoken_codes
from tortoise.generation.forced_alignment import (
    MIN_ALIGNMENT_CONFIDENCE,
    align_text_parts,
    count_tokens_before,
)
from tortoise.generation.mel_decoding import ClipPace, Drafts, compress_mel, decode_mels
from tortoise.generation.model_offload import EXACT, LoadedNetworks, ModelManager
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.pipeline import (
    ConditioningLatents,
    append_silence,
    compute_gpt_latents,
    encode_text,
    fill_missing_seed,
    list_resolved_options,
    make_generator,
    make_warnings,
    sample_candidates,
)
from tortoise.generation.reranking import rank_candidates, score_candidates
from tortoise.generation.sampling import CodeCandidate
from tortoise.generation.text_length import count_tokens
from tortoise.generation.text_plan import TextPlan, list_phone_classes, plan_text
from tortoise.generation.vocoding import GRIFFIN_LIM, choose_vocoder, vocode
from tortoise.generation.voice_conditioning import (
    ConditioningOptions,
    CropMode,
    embed_speaker,
    encode_cvvp_conditioning,
    encode_diffusion_conditioning,
    encode_gpt_conditioning,
    load_codec_encoder,
    split_clips_for_diffusion,
    split_clips_for_gpt,
    to_unit_vector,
)
from tortoise.modules.vocoders.hifigan import decode_latents

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TortoiseCandidateData:
    """Intermediate data of a candidate.

    codes: (m,) as decoded; latents: (1, m, d); index: its index among the samples; text_cleaning:
    the option that its text was tokenized with; plan: of a GPT with a text aligner.
    """

    codes: Tensor
    latents: Tensor
    index: int
    finished: bool
    text_cleaning: str
    pace: ClipPace
    plan: TextPlan | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TortoiseEngine:
    """Draws many candidates of a text, ranks them, and synthesizes the best."""

    name: ClassVar[str] = "tortoise"
    sample_rate: ClassVar[int] = VOCODER_MEL.sample_rate
    options: ClassVar[type] = TortoiseOptions
    conditioning_options: ClassVar[tuple[str, ...]] = (
        "voice_crop",
        "voice_chunk_s",
        "slim_latents",
    )

    networks: LoadedNetworks

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Open a model; its networks are loaded at first use.

        Raises ValueError for an incomplete model.
        """
        bundle = load_model(weights)
        missing = find_missing_files(weights)
        if missing:
            raise InvalidValueError(
                f"{weights} lacks {', '.join(missing)} and cannot generate speech. Download the "
                "model again.",
                code="incomplete_weights",
            )
        return cls(networks=LoadedNetworks(bundle=bundle, device=device))

    @property
    def bundle(self) -> TortoiseModel:
        """The id of the weights."""
        return self.networks.bundle

    @property
    def weights_id(self) -> str:
        """Return the id of the weights, a hash of their content."""
        return self.bundle.weights_id

    @property
    def text_limit(self) -> int:
        """The maximum number of tokens of one chunk."""
        conventions = self.bundle.conventions
        return (conventions.piece_limit or conventions.text_limit) - 2

    @property
    def reads_phonemes(self) -> bool:
        """Return whether a text may have groups of phonemes, {HH AH0 L OW1}."""
        return isinstance(self.bundle.tokenizer, PhonemeTokenizer)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the text, with the cleaning that makes more of them."""
        return count_tokens(self.bundle.tokenizer, text)

    def condition(self, clips: Sequence[Clip], report: ProgressReporter) -> SpeakerLatents:
        """Listen to whole clips of one speaker."""
        return self.condition_with_options(clips, TortoiseOptions(), report)

    def condition_with_options(
        self, clips: Sequence[Clip], options: TortoiseOptions, report: ProgressReporter
    ) -> SpeakerLatents:
        """Compute speaker latents from clips of one speaker."""
        if not clips:
            raise ValueError("A voice needs at least one clip.")
        manager = self._make_model_manager(options, report)
        hearing = ConditioningOptions(
            crop=cast(CropMode, options.voice_crop), chunk_s=options.voice_chunk_s
        )
        conventions = self.bundle.conventions
        norms = self.bundle.mel_stats.norms.to(self.networks.device)
        pieces = split_clips_for_gpt(clips, hearing, conventions)
        latents = {}
        with manager.use("gpt", exact=True) as gpt:
            latents["gpt"] = encode_gpt_conditioning(gpt, pieces, norms, report)
        if self.bundle.decodes_with_codec:
            name = self.bundle.config.architecture("dvae").speaker_encoder
            encoder = load_codec_encoder(self.bundle.folder, name)
            latents["speaker"] = embed_speaker(encoder, clips)[None]
        else:
            with manager.use("diffusion", exact=True) as decoder:
                latents["diffusion"] = encode_diffusion_conditioning(
                    decoder,
                    split_clips_for_diffusion(clips, hearing, conventions),
                    hearing.crop,
                    report,
                )
        if self.bundle.has("cvvp") and not options.slim_latents:
            with manager.use("cvvp") as cvvp:
                latents["cvvp"] = encode_cvvp_conditioning(cvvp, pieces, norms)
        return self._make_speaker_latents(latents)

    def sample_random_speaker(self, seed: int, report: ProgressReporter) -> SpeakerLatents:
        """Sample the latents of a random speaker from a seed."""
        parts = ("gpt", "speaker" if self.bundle.decodes_with_codec else "diffusion")
        if not all(self.bundle.has(f"random_{part}") for part in parts):
            raise ValueError("This model has no random voices. Choose a voice or a mix.")
        manager = self._make_model_manager(TortoiseOptions(), report)
        latents = {}
        for part in parts:
            with manager.use(f"random_{part}") as network:
                latents[part] = network.draw(make_generator(seed, "invent", part))
        if "speaker" in latents:
            latents["speaker"] = to_unit_vector(latents["speaker"])
        return self._make_speaker_latents(latents)

    def read_latents(self, path: Path) -> SpeakerLatents:
        """Read a voice that the original program saved as a pair of latents in a `.pth`."""
        config = self.bundle.config
        if self.bundle.decodes_with_codec:
            raise InvalidValueError(
                f"{path.name} has latents of published weights; the model "
                f"{self.bundle.folder.name} cannot use them. Choose clips of the voice, or another "
                "model.",
                code="bundle_incompatible",
            )
        widths = config.architecture("gpt").model_dim, 2 * config.architecture("diffusion").width
        return read_voice_latents(path, self.weights_id, widths)

    def predict_duration(
        self, text: str, speaker: SpeakerLatents, options: TortoiseOptions
    ) -> float | None:
        """Return the seconds of a text; None for a GPT without an aligner."""
        self.networks.set_lora_strength(options.lora_strength)
        voice = self._load_conditioning_latents(speaker, options)
        tokenizer = with_text_cleaning(self.bundle.tokenizer, options.text_cleaning)
        conventions, ids = self.bundle.conventions, self._encode_text(tokenizer, text)
        with self._make_model_manager(options, ProgressReporter()).use("gpt") as gpt:
            speed = min(options.speed, 1.0)
            plan = plan_text(gpt, voice.gpt, ids, speed, self._get_max_codes(options))
        if plan is None:
            return None
        seconds = float(plan.durations.sum()) * conventions.samples_per_code / conventions.gpt_rate
        return seconds / max(options.speed, 1.0)

    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: TortoiseOptions, report: ProgressReporter
    ) -> SynthesisOutput:
        """Synthesize the text; each candidate's `aux` is a TortoiseCandidateData."""
        options = fill_missing_seed(options, secrets.randbelow(2**31))
        self.networks.set_lora_strength(options.lora_strength)
        vocoder = choose_vocoder(options.vocoder, self.bundle.config.networks)
        voice = self._load_conditioning_latents(speaker, options)
        manager = self._make_model_manager(options, report)
        longest, halved = self._get_max_codes(options), list[int]()
        tokenizer = with_text_cleaning(self.bundle.tokenizer, options.text_cleaning)
        ids = self._encode_text(tokenizer, text)
        with manager.use("gpt") as gpt:
            speed = min(options.speed, 1.0)  # faster codes are unclear: the mel is compressed
            plan = plan_text(gpt, voice.gpt, ids, speed, longest, list_phone_classes(tokenizer))
            used = replace(options, precision=manager.precision)
            drawn = sample_candidates(gpt, voice, ids, used, longest, report, halved.append, plan)
        with report.stage("rank"):
            scores = score_candidates(drawn, voice, ids, options, manager, halved.append, plan)
        best = rank_candidates(scores, drawn, options.length_penalty)[: options.candidates]
        codes = self._prepare_codes([drawn[index] for index in best], plan, options.pause_size)
        with manager.use("gpt", exact=manager.precision == EXACT) as gpt, report.stage("latents"):
            latents = [
                compute_gpt_latents(gpt, voice, ids, row, plan, drawn[index])
                for index, row in zip(best, codes, strict=True)
            ]
        drafts = Drafts(indices=best, codes=codes, latents=latents, plan=plan)
        waves = self._synthesize_waves(drafts, voice, options, manager, vocoder)
        return SynthesisOutput(
            candidates=[
                SpeechCandidate(
                    clip=self._make_clip(wave, row, options),
                    score=float(scores[index]),
                    aux=TortoiseCandidateData(
                        codes=row,
                        latents=latent.cpu(),
                        index=index,
                        finished=drawn[index].finished,
                        text_cleaning=options.text_cleaning,
                        pace=pace,
                        plan=plan,
                    ),
                )
                for index, row, latent, (wave, pace) in zip(
                    best, codes, latents, waves, strict=True
                )
            ],
            warnings=make_warnings([drawn[index] for index in best], longest, halved),
            resolved_options=list_resolved_options(options, manager.precision, halved),
        )

    def locate_words(
        self, words: Sequence[str], candidate: SpeechCandidate
    ) -> list[tuple[float, float]] | None:
        """Return the times of the words by the durations of a GPT with an aligner, else None."""
        data = candidate.aux
        if not isinstance(data, TortoiseCandidateData) or data.plan is None:
            return None
        conventions = self.bundle.conventions
        code_s = conventions.samples_per_code / conventions.gpt_rate
        tokenizer = with_text_cleaning(self.bundle.tokenizer, data.text_cleaning)
        tokens = tokenizer.tokenize(" ".join(words))
        spans = data.plan.locate_words(find_word_tokens(words, tokens, tokenizer.tokenize))
        find = data.pace.find_time
        return [(find(start * code_s), find(stop * code_s)) for start, stop in spans]

    def align(
        self,
        parts: Sequence[str],
        candidate: SpeechCandidate,
        speaker: SpeakerLatents,
        report: ProgressReporter,
    ) -> list[float] | None:
        """Return at which second of a candidate each part of its text begins.

        None for a clip that was read from a file, and where the attention of the GPT is unclear.
        """
        if not isinstance(candidate.aux, TortoiseCandidateData):
            return None
        device, conventions = self.networks.device, self.bundle.conventions
        code_s = conventions.samples_per_code / conventions.gpt_rate
        tokenizer = with_text_cleaning(self.bundle.tokenizer, candidate.aux.text_cleaning)
        if candidate.aux.plan is not None:
            tokens = count_tokens_before(parts, tokenizer)
            begins = [candidate.aux.plan.start_of(token) for token in tokens]
            return [candidate.aux.pace.find_time(begin * code_s) for begin in begins]
        voice = ConditioningLatents.from_tensors(speaker.tensors, device)
        with self._make_model_manager(TortoiseOptions(), report).use("gpt") as gpt:
            codes = candidate.aux.codes.to(device)[None]
            starts, alignment = align_text_parts(parts, tokenizer, gpt, voice.gpt, codes)
        if alignment.confidence < MIN_ALIGNMENT_CONFIDENCE:
            return None
        return [candidate.aux.pace.find_time(start * code_s) for start in starts]

    def _encode_text(self, tokenizer: Tokenizer, text: str) -> Tensor:
        ids = encode_text(tokenizer, text, self.bundle.conventions.text_limit)
        return ids.to(self.networks.device)

    def _prepare_codes(
        self, chosen: Sequence[CodeCandidate], plan: TextPlan | None, pause: int
    ) -> list[Tensor]:
        """The codes to decode; a plan has set their number."""
        if plan is not None:
            return [one.codes for one in chosen]
        conventions = self.bundle.conventions
        return [prepare_spoken_codes(one.codes, one.finished, pause, conventions) for one in chosen]

    def _synthesize_waves(
        self,
        drafts: Drafts,
        voice: ConditioningLatents,
        options: TortoiseOptions,
        manager: ModelManager,
        vocoder: str,
    ) -> list[tuple[Tensor, ClipPace]]:
        """The waves of the chosen candidates, (n,) each on the CPU, with the speed asked for."""
        faster = options.speed if drafts.plan is None else max(1.0, options.speed)
        if vocoder == "hifigan":
            with manager.use(vocoder) as network, manager.report.stage("vocode"):
                straight = [decode_latents(network, row, voice.gpt)[0] for row in drafts.latents]
                return [self._play(wave.float().clamp(-1, 1).cpu(), faster) for wave in straight]
        mels = decode_mels(manager, drafts, voice, options, self.bundle.conventions)
        waves = []
        with nullcontext() if vocoder == GRIFFIN_LIM else manager.use(vocoder) as network:
            for index, mel in zip(
                drafts.indices, manager.report.track(mels, "vocode"), strict=True
            ):
                noise = make_generator(options.seed, "vocode", index)
                if drafts.plan is not None and faster > 1.0:
                    mel, starts = compress_mel(mel, faster)
                    wave = vocode(network, mel, noise)[0].cpu()
                    waves.append((wave, ClipPace(starts=starts.cpu())))
                else:
                    waves.append(self._play(vocode(network, mel, noise)[0].cpu(), faster))
        return waves

    def _play(self, wave: Tensor, speed: float) -> tuple[Tensor, ClipPace]:
        return change_pace(wave, self.sample_rate, speed), ClipPace(speed=speed)

    def _make_clip(self, wave: Tensor, codes: Tensor, options: TortoiseOptions) -> Clip:
        conventions = self.bundle.conventions
        missing = count_missing_pause_codes(codes, options.pause_size, conventions) / options.speed
        return Clip(wave=append_silence(wave, missing, conventions), sample_rate=self.sample_rate)

    def _load_conditioning_latents(
        self, speaker: SpeakerLatents, options: TortoiseOptions
    ) -> ConditioningLatents:
        speaker.require_weights(self.name, self.weights_id)
        voice = ConditioningLatents.from_tensors(speaker.tensors, self.networks.device)
        if options.cvvp_weight > 0 and voice.cvvp is None:
            raise InvalidValueError(
                f"cvvp_weight is {options.cvvp_weight}, but the speaker latents have no CVVP "
                "part: they were saved without it, the voice is random, or the model has no "
                "CVVP. Set it to 0.",
                code="bundle_incompatible",
            )
        return voice

    def _get_max_codes(self, options: TortoiseOptions) -> int:
        most = min(
            self.bundle.conventions.max_codes,
            self.bundle.config.architecture("gpt").max_mel_tokens,
        )
        return min(options.max_codes or most, most)

    def _make_model_manager(
        self, options: TortoiseOptions, report: ProgressReporter
    ) -> ModelManager:
        return ModelManager(
            networks=self.networks,
            low_vram=options.low_vram,
            half=options.half_precision,
            report=report,
            precision=self.networks.resolve_precision(options.precision),
        )

    def _make_speaker_latents(self, latents: dict[str, Tensor]) -> SpeakerLatents:
        tensors = {name: tensor.float().cpu().clone() for name, tensor in latents.items()}
        return SpeakerLatents(engine=self.name, weights_id=self.weights_id, tensors=tensors)
