"""Drawing drafts: many rows of mel codes for one text and one voice.

A row's draws belong to it alone, so neither how many rows share a batch nor which of them finish
first changes what any row says.

Shapes: r rows, v vocabulary, t text tokens, m codes, d model width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from jobs.report import Event, Reporter
from tortoise.batches import in_batches
from tortoise.gpt import Gpt
from tortoise.logits import Shortlist, keep_top_p, keep_typical, penalize, shortlist
from tortoise.stepping import Prefix, Stepper, read_prefix

CPU_BATCH = 32  # rows at which the matrix products of a processor are fed
CPU_MEMORY = 2 << 30  # bytes of keys and values, where the free memory is not known
SHARE_OF_MEMORY = 0.6  # of what is free on the device, for keys and values


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How drafts are drawn. `top_k` 0 and `typical_mass` 1 filter nothing; `batch` 0 is fitted.

    `said_before` lists codes that the repetition penalty lowers from the start. The original does
    so with 1 and the start code, by accident (its prompt is a dummy list of them); we do not.
    """

    samples: int = 16
    max_codes: int = 500
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 0.8
    typical_mass: float = 1.0
    repetition_penalty: float = 2.0
    said_before: tuple[int, ...] = ()
    batch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """One row: its codes without the stop, (m,), on the CPU."""

    codes: Tensor
    finished: bool  # it came to its stop within the limit
    confidence: float  # mean log-probability of its codes before any filter, the stop included


@torch.inference_mode()
def sample_codes(
    gpt: Gpt,
    conditioning: Tensor,
    text: Tensor,
    options: SamplingOptions,
    generator: torch.Generator,
    report: Reporter,
) -> list[Draft]:
    """Draw `options.samples` drafts, in batches that fit; a batch too large is halved.

    conditioning: (1, d);  text: (1, t) ended by a stop;  generator: on the CPU.
    """
    if options.max_codes > gpt.config.max_mel_tokens:
        raise ValueError(
            f"max_codes is {options.max_codes}; these weights can say {gpt.config.max_mel_tokens}"
        )
    uniform = torch.rand(options.samples, gpt.config.max_mel_tokens, generator=generator)
    size = options.batch or fitted_batch(gpt, options.max_codes)
    prefix = read_prefix(gpt, conditioning, text)

    def draw(first: int, end: int) -> list[Draft]:
        rows = Rows(gpt, prefix, uniform[first:end], options)
        total = options.samples * options.max_codes
        for step in rows.steps():
            drawn = first * options.max_codes + (step + 1) * (end - first)
            report.emit(Event(kind="progress", stage="draft", done=drawn, total=total))
            report.check()
        return rows.drafts()

    with report.stage("draft"):
        return in_batches(options.samples, size, draw, report, "draft")


def fitted_batch(gpt: Gpt, max_codes: int) -> int:
    """How many rows at once suit the device and its free memory; at least 1."""
    weight = gpt.mel_head.weight
    per_row = 2 * gpt.config.layers * gpt.config.model_dim * max_codes * weight.element_size()
    if weight.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(weight.device)
        return max(1, int(free * SHARE_OF_MEMORY / per_row))
    return max(1, min(CPU_BATCH, CPU_MEMORY // per_row))


class Rows:
    """The rows of one batch while they are drawn; a finished row leaves."""

    def __init__(self, gpt: Gpt, prefix: Prefix, uniform: Tensor, options: SamplingOptions) -> None:
        self.gpt, self.options = gpt, options
        self.device = gpt.mel_head.weight.device
        rows, codes = uniform.shape[0], gpt.config.number_mel_codes
        self.uniform = uniform.to(self.device)
        self.stepper = Stepper(gpt, prefix, rows)
        self.drawn = torch.zeros(rows, options.max_codes, dtype=torch.long, device=self.device)
        self.lengths = torch.full((rows,), options.max_codes)
        self.finished = torch.zeros(rows, dtype=torch.bool)
        self.log_p = torch.zeros(rows, device=self.device)
        self.said = torch.zeros(rows, codes, dtype=torch.bool, device=self.device)
        self.said[:, list(options.said_before)] = True
        self.speaking = torch.arange(rows, device=self.device)  # which rows are still here

    def steps(self) -> Iterator[int]:
        """Draw one code for each speaking row, until none is left or the limit is reached."""
        config = self.gpt.config
        codes = self.uniform.new_full((len(self.uniform),), config.start_mel_token).long()
        for step in range(self.options.max_codes):
            logits = self.gpt.mel_head(self.stepper.feed(codes)).float()
            logits[:, config.start_mel_token] = -torch.inf  # it stands for no sound
            codes = self.choose(logits).draw(self.uniform[self.speaking, step])
            here = logits.log_softmax(-1).gather(1, codes[:, None])[:, 0]
            self.log_p[self.speaking] += here
            self.drawn[self.speaking, step] = codes
            self.said.scatter_(1, codes[:, None], True)
            codes = self._dismiss(codes, step)
            yield step
            if not len(codes):
                return

    def choose(self, logits: Tensor) -> Shortlist:
        """What may be drawn.  logits: (r, v)."""
        options = self.options
        logits = penalize(logits, self.said, options.repetition_penalty)
        if options.typical_mass < 1:
            logits = keep_typical(logits, options.typical_mass)
        return keep_top_p(shortlist(logits / options.temperature, options.top_k), options.top_p)

    def drafts(self) -> list[Draft]:
        """What came of the rows, in their first order."""
        drawn, log_p = self.drawn.cpu(), self.log_p.cpu()
        if not bool(torch.isfinite(log_p).all()):
            raise FloatingPointError(
                "the GPT answered with numbers that are not finite. Turn half precision off; if "
                "that does not help, verify the weights."
            )
        said = zip(
            drawn, self.lengths.tolist(), self.finished.tolist(), log_p.tolist(), strict=True
        )
        return [
            Draft(
                codes=codes[:length].clone(),
                finished=finished,
                confidence=total / (length + finished),
            )
            for codes, length, finished, total in said
        ]

    def _dismiss(self, codes: Tensor, step: int) -> Tensor:
        """Let go of the rows that drew the stop.  codes: (r,).  Returns (r',)."""
        stopped = codes == self.gpt.config.stop_mel_token
        if not bool(stopped.any()):
            return codes
        gone = self.speaking[stopped].cpu()
        self.lengths[gone] = step
        self.finished[gone] = True
        staying = (~stopped).nonzero()[:, 0]
        self.speaking, self.said = self.speaking[staying], self.said[staying]
        self.stepper.keep(staying)
        return codes[staying]
