"""Autoregressive sampling of candidates: rows of mel codes for one text and one voice.

Each row has its own random numbers, so its codes do not depend on the batch size or on other rows.

Shapes: r rows, v vocabulary, t text tokens, m codes, d model width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from core.progress import ProgressEvent, ProgressReporter
from tortoise.generation.batching import OnHalved, ignore_halved, run_in_batches
from tortoise.generation.kv_cache import (
    KVCacheDecoder,
    PrefixCache,
    StaticKVCacheDecoder,
    StepDecoder,
    prefill,
)
from tortoise.modules.gpt import Gpt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredLogits:
    """The codes that remain after filtering, most likely first.

    scores: (r, s) logits, -inf for removed codes; codes: (r, s).
    """

    scores: Tensor
    codes: Tensor

    def draw(self, uniform: Tensor) -> Tensor:
        """Pick one code per row where its share of probability contains a number in [0, 1).

        uniform: (r,).  Returns (r,).
        """
        edges = self.scores.softmax(-1).cumsum(-1)  # (r, s)
        place = (edges <= (uniform[:, None] * edges[:, -1:])).sum(-1, keepdim=True)
        return self.codes.gather(1, place.clamp(max=edges.shape[1] - 1))[:, 0]


def apply_repetition_penalty(logits: Tensor, used: Tensor, penalty: float) -> Tensor:
    """Apply the repetition penalty (arXiv:1909.05858, section 4.1).

    logits: (r, v);  used: (r, v) bool.  Returns (r, v).
    """
    lowered = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(used, lowered, logits)


def filter_typical(logits: Tensor, mass: float) -> Tensor:
    """Filter by typical sampling (arXiv:2202.00666).

    logits: (r, v); mass: the probability to keep. Returns (r, v), -inf for removed codes.
    """
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).nansum(-1, keepdim=True)
    oddity, order = (-log_p - entropy).abs().sort(-1)
    kept = (logits.gather(1, order).softmax(-1).cumsum(-1) < mass).sum(-1, keepdim=True)
    limit = oddity.gather(1, kept.clamp(max=logits.shape[1] - 1))
    return logits.masked_fill((-log_p - entropy).abs() > limit, -torch.inf)


def filter_top_k(logits: Tensor, top_k: int) -> FilteredLogits:
    """The k best codes of each row, or all for 0.  logits: (r, v)."""
    scores, codes = logits.topk(min(top_k or logits.shape[1], logits.shape[1]), dim=-1)
    return FilteredLogits(scores=scores, codes=codes)


def filter_top_p(candidates: FilteredLogits, top_p: float) -> FilteredLogits:
    """Filter by nucleus sampling: keep the most likely codes up to probability top_p."""
    tail = candidates.scores.softmax(-1).flip(-1).cumsum(-1).flip(-1)  # (r, s) of it and all after
    out = tail <= 1 - top_p
    out[:, 0] = False
    return FilteredLogits(
        scores=candidates.scores.masked_fill(out, -torch.inf), codes=candidates.codes
    )


CacheShape = Literal["exact", "padded", "static"]

CPU_BATCH_SIZE = 32  # rows at which the matrix products of a processor are fed
CPU_KV_CACHE_BYTES = 2 << 30  # bytes of keys and values, where the free memory is not known
STEPS_BETWEEN_DROPS = 8  # of a static decoder: each look waits for the device
KV_CACHE_MEMORY_FRACTION = 0.6  # of the free device memory, for keys and values


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """Options of the sampling.

    `top_k` 0 and `typical_mass` 1 filter nothing; `batch` 0 is fitted.

    `said_before` lists codes that the repetition penalty lowers from the start. The original does
    so with 1 and the start code, by accident (its prompt is a dummy list of them); we do not.

    `keep_latents` keeps the hidden states that predicted the codes, the input of the decoders.
    `cache` may be rounded up ("padded"), which changes the rounding, or "static": every step has
    the same shapes and is a CUDA graph on a GPU.
    """

    samples: int = 16
    max_codes: int = 500
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 0.8
    typical_mass: float = 1.0
    repetition_penalty: float = 2.0
    penalized_codes: tuple[int, ...] = ()
    batch: int = 0
    keep_latents: bool = False
    cache: CacheShape = "exact"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeCandidate:
    """One row: its codes without the stop, (m,), on the CPU.

    latents: (m', d) float32, where they are kept: of each code, and of the stop that was sampled.
    """

    codes: Tensor
    finished: bool  # it came to its stop within the limit
    confidence: float  # mean log-probability of its codes before any filter, the stop included
    latents: Tensor | None = None


@torch.inference_mode()
def sample_codes(
    gpt: Gpt,
    conditioning: Tensor,
    text: Tensor,
    options: SamplingOptions,
    generator: torch.Generator,
    report: ProgressReporter,
    on_halved: OnHalved = ignore_halved,
    aligned: Tensor | None = None,
) -> list[CodeCandidate]:
    """Sample `options.samples` candidates in batches; a batch that does not fit is halved.

    conditioning: (1, d);  text: (1, t) ended by a stop;  generator: on the CPU;  aligned: (m, d)
    of the aligner, which gives every candidate m codes.
    """
    if aligned is not None:
        options = replace(options, max_codes=len(aligned))
    if options.max_codes > gpt.config.max_mel_tokens:
        raise ValueError(
            f"max_codes is {options.max_codes}; these weights support at most "
            f"{gpt.config.max_mel_tokens}"
        )
    uniform = torch.rand(options.samples, gpt.config.max_mel_tokens, generator=generator)
    size = options.batch or estimate_batch_size(gpt, options.max_codes)
    prefix = prefill(gpt, conditioning, text)

    def draw(first: int, end: int) -> list[CodeCandidate]:
        rows = BatchedSampler(gpt, prefix, uniform[first:end], options, aligned)
        total = options.samples * options.max_codes
        for step in rows.steps():
            drawn = first * options.max_codes + (step + 1) * (end - first)
            report.emit(ProgressEvent(kind="progress", stage="draft", done=drawn, total=total))
            report.check_cancelled()
        return rows.collect_candidates()

    with report.stage("draft"):
        return run_in_batches(options.samples, size, draw, on_halved)


def estimate_batch_size(gpt: Gpt, max_codes: int) -> int:
    """Return the batch size for the device and its free memory; at least 1."""
    weight = gpt.mel_embedding.weight
    per_row = 2 * gpt.config.layers * gpt.config.model_dim * max_codes * weight.element_size()
    if weight.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(weight.device)
        return max(1, int(free * KV_CACHE_MEMORY_FRACTION / per_row))
    return max(1, min(CPU_BATCH_SIZE, CPU_KV_CACHE_BYTES // per_row))


class BatchedSampler:
    """The rows of one batch while they are drawn; a finished row leaves."""

    def __init__(
        self,
        gpt: Gpt,
        prefix: PrefixCache,
        uniform: Tensor,
        options: SamplingOptions,
        aligned: Tensor | None = None,
    ) -> None:
        self.gpt, self.options, self.aligned = gpt, options, aligned
        self.device = gpt.mel_embedding.weight.device
        rows, codes = uniform.shape[0], gpt.config.number_mel_codes
        self.uniform = uniform.to(self.device)
        self.stepper: StepDecoder = (
            StaticKVCacheDecoder(gpt, prefix, rows, options.max_codes)
            if options.cache == "static"
            else KVCacheDecoder(gpt, prefix, rows, padded=options.cache == "padded")
        )
        self.sampled_codes = torch.zeros(
            rows, options.max_codes, dtype=torch.long, device=self.device
        )
        self.lengths = torch.full((rows,), options.max_codes, device=self.device)
        self.stopped = torch.zeros(rows, dtype=torch.bool, device=self.device)
        self.log_p = torch.zeros(rows, device=self.device)
        self.seen_codes = torch.zeros(rows, codes, dtype=torch.bool, device=self.device)
        self.seen_codes[:, list(options.penalized_codes)] = True
        self.active_rows = torch.arange(rows, device=self.device)  # which rows are still here
        self.steps_between_drops = STEPS_BETWEEN_DROPS if options.cache == "static" else 1
        kept = options.max_codes if options.keep_latents else 0
        self.latents = torch.zeros(rows, kept, gpt.config.model_dim, device=self.device)

    def steps(self) -> Iterator[int]:
        """Draw one code for each speaking row, until none is left or the limit is reached."""
        config = self.gpt.config
        codes = self.uniform.new_full((len(self.uniform),), config.start_mel_token).long()
        for step in range(self.options.max_codes):
            logits = self._compute_logits(codes, step)
            codes = self.filter_step_logits(logits).draw(self.uniform[self.active_rows, step])
            here = logits.log_softmax(-1).gather(1, codes[:, None])[:, 0]
            stopped = self.stopped[self.active_rows]  # not dropped yet
            self.log_p[self.active_rows] += here.masked_fill(stopped, 0.0)
            self.sampled_codes[self.active_rows, step] = codes
            self.seen_codes.scatter_(1, codes[:, None], True)
            self._mark_stopped_rows(codes, step)
            if (step + 1) % self.steps_between_drops == 0:
                codes = codes[self._drop_stopped_rows()]
            yield step
            if not len(codes):
                return

    def _compute_logits(self, codes: Tensor, step: int) -> Tensor:
        """codes: (r,). Returns (r, v), -inf for what is no sound or not allowed yet."""
        config = self.gpt.config
        aligned = None if self.aligned is None else self.aligned[step]
        states = self.stepper.decode_step(codes, aligned)
        if self.options.keep_latents:
            self.latents[self.active_rows, step] = states.float()
        logits: Tensor = self.gpt.mel_head(states).float()
        logits[:, config.start_mel_token] = -torch.inf
        if aligned is not None:
            logits[:, config.stop_mel_token] = -torch.inf
        return logits

    def filter_step_logits(self, logits: Tensor) -> FilteredLogits:
        """Apply the filters. logits: (r, v)."""
        options = self.options
        logits = apply_repetition_penalty(logits, self.seen_codes, options.repetition_penalty)
        if options.typical_mass < 1:
            logits = filter_typical(logits, options.typical_mass)
        return filter_top_p(
            filter_top_k(logits / options.temperature, options.top_k), options.top_p
        )

    def collect_candidates(self) -> list[CodeCandidate]:
        """Return the candidates in the original order."""
        drawn, log_p = self.sampled_codes.cpu(), self.log_p.cpu()
        if not bool(torch.isfinite(log_p).all()):
            raise FloatingPointError(
                "the GPT produced NaN or infinite values. Turn half precision off; if "
                "that does not help, verify the weights."
            )
        finished = (self.stopped | (self.aligned is not None)).tolist()
        lengths = self.lengths.tolist()
        rows = zip(drawn, lengths, finished, log_p.tolist(), self.latents, strict=True)
        return [
            CodeCandidate(
                codes=codes[:length].clone(),
                finished=finished,
                confidence=total / (length + finished),
                latents=latents[: length + 1].clone() if self.options.keep_latents else None,
            )
            for codes, length, finished, total, latents in rows
        ]

    def _mark_stopped_rows(self, codes: Tensor, step: int) -> None:
        """Note which rows sampled the stop code, without waiting for the device.  codes: (r,)."""
        rows = self.active_rows
        stopping = (codes == self.gpt.config.stop_mel_token) & ~self.stopped[rows]
        self.lengths[rows] = torch.where(stopping, step, self.lengths[rows])
        self.stopped[rows] |= stopping

    def _drop_stopped_rows(self) -> Tensor:
        """Go on without the rows that have stopped. Returns the places of the others, (r',)."""
        staying = (~self.stopped[self.active_rows]).nonzero()[:, 0]
        if len(staying) < len(self.active_rows):
            self.active_rows, self.seen_codes = self.active_rows[staying], self.seen_codes[staying]
            self.stepper.select_rows(staying)
        return staying
