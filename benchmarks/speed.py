"""Speed of the networks in each precision beside the arithmetic of the original, in one run.

    python benchmarks/speed.py [--model FOLDER] [--threads N] [--repeats N] [--json FILE] [PART ...]

Without a model, networks of the published sizes with random weights are measured. The contenders
take turns, so that other programs slow all of them alike; ratios are medians over the turns, of
processor time with one thread and of wall time with several. A share is that of the bandwidth and
of the matrix products measured in the same run. Differences are those of the results: of logits
and of the noise relative to their norm, and of CLVP the share of pairs of candidates that keep
their order.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from benchmarks.reference_networks import (  # noqa: E402
    ReferenceClvp,
    ReferenceDiffusion,
    ReferenceGpt,
)
from tortoise.checkpoints.config import read_config  # noqa: E402
from tortoise.checkpoints.loading import build_network, load_network  # noqa: E402
from tortoise.generation.diffusion import Guidance, GuidedDenoiser  # noqa: E402
from tortoise.generation.kv_cache import KVCacheDecoder, prefill  # noqa: E402
from tortoise.modules.clvp import Clvp, ClvpConfig  # noqa: E402
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder  # noqa: E402
from tortoise.modules.gpt import Gpt, GptConfig  # noqa: E402
from tortoise.modules.linear_formats import (  # noqa: E402
    LINEAR_FORMATS,
    LinearFormat,
    PackedLinear,
    is_format_available,
)
from tortoise.modules.packing import pack_linears  # noqa: E402

TEXT_TOKENS, CODES, FRAMES = 43, 86, 374  # a sentence of 70 letters, 4 s
CANDIDATES, STEPS = 16, 30  # of the preset ultra_fast
ROWS = (1, 4, 16)
WARM_STEPS = 3
PADDED_CODES = 500
ORIGINAL, EXACT = "original", "exact"
Metrics = dict[str, Any]  # Any: JSON
Work = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is measured, and how often."""

    networks: Mapping[str, nn.Module]
    repeats: int
    clock: Callable[[], float]
    padded_codes: int = PADDED_CODES

    def measure(self, contenders: Mapping[str, Work], repeats: int = 0) -> Metrics:
        """Let the contenders take turns; return ms and the ratio to the first for each."""
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(repeats or self.repeats):
            for name, work in contenders.items():
                started = self.clock()
                work()
                times[name].append(1e3 * (self.clock() - started))
        first = times[next(iter(contenders))]
        return {
            name: {
                "ms": round(statistics.median(own), 2),
                "ratio": round(
                    statistics.median(a / b for a, b in zip(first, own, strict=True)), 2
                ),
            }
            for name, own in times.items()
        }


@dataclass(frozen=True, kw_only=True)
class MachineRates:
    """Measured in this run: bytes per second read, and products per second of each format."""

    bytes_per_s: float
    flops: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def measure(cls, clock: Callable[[], float]) -> MachineRates:
        """Read 256 MB, and multiply matrices of 1024 rows."""
        read = torch.ones(1 << 26)
        square, rows = torch.randn(1024, 1024) / 32, torch.randn(1024, 1024)
        works: dict[str, Work] = {EXACT: lambda: rows @ square}
        for name in usable_formats():
            works[name] = partial(PackedLinear(square, None, name), rows)
        flops = {name: 2 * 1024**3 / best_s(work, clock) for name, work in works.items()}
        return cls(bytes_per_s=read.nbytes / best_s(read.sum, clock), flops=flops)


def best_s(work: Work, clock: Callable[[], float]) -> float:
    """The least seconds of five calls."""
    times = []
    for _ in range(6):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times[1:])


def usable_formats() -> tuple[LinearFormat, ...]:
    """The formats of this machine."""
    return tuple(name for name in LINEAR_FORMATS if is_format_available(name))


def pack_each(network: nn.Module) -> dict[str, Any]:
    """The network as it is, and packed in every format."""
    packed = {name: pack_linears(network, name) for name in usable_formats()}
    return {EXACT: network, **packed}


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference, relative to the norm of what is expected."""
    return float((found - expected).norm() / expected.norm())


def random_codes(gpt: Gpt, shape: tuple[int, ...]) -> Tensor:
    return torch.randint(0, gpt.config.codes, shape, generator=torch.Generator().manual_seed(1))


def make_text(gpt: Gpt) -> Tensor:
    """A text of a sentence's length, ended by a stop: (1, t)."""
    ids = torch.arange(1, TEXT_TOKENS + 1) % (gpt.config.start_text_token - 1) + 1
    ids[-1] = gpt.config.stop_text_token
    return ids[None]


def measure_steps(setup: Setup, rates: MachineRates) -> Metrics:
    """One autoregressive step of 1, 4 and 16 candidates, and what comes before the first."""
    gpt = cast(Gpt, setup.networks["gpt"])
    reference, packed = ReferenceGpt(gpt), pack_each(gpt)
    voice, text = torch.randn(1, gpt.config.model_dim), make_text(gpt)
    weights = sum(one.numel() for one in (*gpt.gpt.parameters(), *gpt.mel_head.parameters()))
    found: Metrics = {}
    for rows in ROWS:
        codes = random_codes(gpt, (setup.repeats + WARM_STEPS, rows))
        logits: dict[str, Tensor] = {}
        works = make_step_works(reference, packed, (voice, text), codes, logits)
        for _ in range(WARM_STEPS):
            for work in works.values():
                work()
        part = setup.measure(works)
        for name, row in part.items():
            row["difference"] = relative_difference(logits[name], logits[ORIGINAL])
            same = logits[name].argmax(-1) == logits[ORIGINAL].argmax(-1)
            row["same_best_code"] = float(same.float().mean())
            add_shares(row, name, weights, rows, rates)
        found[f"ar_step_{rows}"] = part
    prefills: dict[str, Work] = {
        ORIGINAL: lambda: reference.prefill(voice, text, CANDIDATES).layers[0].keys
    }
    prefills |= {
        name: lambda network=network: prefill(network, voice, text).keys[0]
        for name, network in packed.items()
    }
    found["ar_prefill_16"] = setup.measure(prefills, repeats=max(1, setup.repeats // 6))
    padded = random_codes(gpt, (1, min(setup.padded_codes, gpt.config.max_mel_tokens)))
    passes: dict[str, Work] = {ORIGINAL: lambda: reference.second_pass(voice, text, padded)}
    for name, network in packed.items():
        passes[name] = lambda network=network: network.latents(voice, text, padded[:, :CODES])
    found["latents"] = setup.measure(passes, repeats=max(1, setup.repeats // 6))
    return found


def make_step_works(
    reference: ReferenceGpt,
    packed: Mapping[str, Gpt],
    prompt: tuple[Tensor, Tensor],
    codes: Tensor,
    logits: dict[str, Tensor],
) -> dict[str, Work]:
    """One step of each contender per call, over the same codes; logits get the last results.

    prompt: voice (1, d) and text (1, t);  codes: (steps, r).
    """
    rows = codes.shape[1]
    cache = reference.prefill(*prompt, rows)
    places = {name: iter(range(len(codes))) for name in (ORIGINAL, *packed)}

    def step_reference() -> Tensor:
        place = next(places[ORIGINAL])
        logits[ORIGINAL] = reference.decode_step(codes[place], place, cache)
        return logits[ORIGINAL]

    def make(name: str, network: Gpt) -> Work:
        padded = name != EXACT
        stepper = KVCacheDecoder(network, prefill(network, *prompt), rows, padded=padded)

        def step() -> Tensor:
            states = stepper.decode_step(codes[next(places[name])])
            logits[name] = network.mel_head(states)
            return logits[name]

        return step

    return {ORIGINAL: step_reference} | {name: make(name, one) for name, one in packed.items()}


def add_shares(row: Metrics, name: str, weights: int, rows: int, rates: MachineRates) -> None:
    """Add the share of the measured bandwidth and matrix rate that a step reaches."""
    size = {"bfloat16": 2, "int8": 1}.get(name, 4)
    seconds = row["ms"] / 1e3
    row["of_bandwidth"] = round(size * weights / seconds / rates.bytes_per_s, 3)
    row["of_products"] = round(
        2 * weights * rows / seconds / rates.flops.get(name, rates.flops[EXACT]), 3
    )


def measure_clvp(setup: Setup, rates: MachineRates) -> Metrics:
    """Ranking 16 candidates, padded as the published weights need it."""
    clvp = cast(Clvp, setup.networks["clvp"])
    reference, packed = ReferenceClvp(clvp), pack_each(clvp)
    generator = torch.Generator().manual_seed(2)
    codes = torch.randint(
        0, clvp.config.codes, (CANDIDATES, setup.padded_codes), generator=generator
    )
    text = torch.randint(1, clvp.config.text_tokens, (1, TEXT_TOKENS), generator=generator)
    scores: dict[str, Tensor] = {}

    def make(name: str, score: Callable[[Tensor, Tensor], Tensor]) -> Work:
        def work() -> Tensor:
            scores[name] = score(text, codes)
            return scores[name]

        return work

    works = {ORIGINAL: make(ORIGINAL, reference.score)}
    works |= {name: make(name, one.score) for name, one in packed.items()}
    part = setup.measure(works, repeats=max(1, setup.repeats // 6))
    first = EXACT if clvp.config.spells else ORIGINAL  # the original's CLVP does not spell
    for name in packed:
        part[name]["difference"] = relative_difference(scores[name], scores[first])
        part[name]["same_order"] = share_of_kept_pairs(scores[name], scores[first])
    return {f"clvp_16x{setup.padded_codes}": part}


def share_of_kept_pairs(found: Tensor, expected: Tensor) -> float:
    """The share of pairs whose order is the same in both scores, (n,) each."""
    pairs = list(combinations(range(len(expected)), 2))
    kept = [(found[a] > found[b]) == (expected[a] > expected[b]) for a, b in pairs]
    return sum(map(float, kept)) / len(pairs)


def measure_diffusion(setup: Setup, rates: MachineRates) -> Metrics:
    """One diffusion step of a sentence, without and with guidance."""
    decoder = cast(DiffusionDecoder, setup.networks["diffusion"])
    reference, packed = ReferenceDiffusion(decoder), pack_each(decoder)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, decoder.config.mel_bands, FRAMES, generator=generator)
    embedding = torch.randn(1, decoder.config.width, FRAMES, generator=generator)
    t = torch.tensor([500])
    outputs: dict[str, Tensor] = {}

    def make(name: str, network: DiffusionDecoder) -> Work:
        def work() -> Tensor:
            outputs[name] = network(x, t, embedding)
            return outputs[name]

        return work

    original = reference.forward(x, t, embedding)
    if decoder.config.predicts == "noise":  # the original knows no other
        outputs[ORIGINAL] = original
    singles: dict[str, Work] = {ORIGINAL: lambda: reference.forward(x, t, embedding)}
    singles |= {name: make(name, one) for name, one in packed.items()}
    part = setup.measure(singles, repeats=max(2, setup.repeats // 4))
    for name in packed:
        expected = outputs.get(ORIGINAL, outputs[EXACT])
        part[name]["difference"] = relative_difference(outputs[name], expected)
    pairs: dict[str, Work] = {ORIGINAL: lambda: reference.pair(x, t, embedding)[0]}
    for name, one in packed.items():
        guided = GuidedDenoiser(one, embedding, Guidance(k=2.0, ramp=False))
        pairs[name] = lambda guided=guided: guided(x, 500, 0.5)
    return {
        "diffusion_step": part,
        "diffusion_pair": setup.measure(pairs, repeats=max(2, setup.repeats // 4)),
    }


PARTS = {"gpt": measure_steps, "clvp": measure_clvp, "diffusion": measure_diffusion}


def compose_sentence(found: Metrics) -> Metrics:
    """Seconds of a sentence of 4 s with the preset ultra_fast, added up from the parts."""
    clvp = next((part for name, part in found.items() if name.startswith("clvp")), None)
    if clvp is None or "ar_step_16" not in found or "diffusion_step" not in found:
        return {}
    totals = {}
    for name in found["ar_step_16"]:
        decoder = "bfloat16" if name == "int8" and "bfloat16" in clvp else name
        ms = found["ar_prefill_16"][name]["ms"] + CODES * found["ar_step_16"][name]["ms"]
        ms += clvp[name]["ms"] + found["latents"][name]["ms"]
        totals[name] = (ms + STEPS * found["diffusion_step"][decoder]["ms"]) / 1e3
    first = totals[ORIGINAL]
    return {
        "sentence_4s": {
            name: {"ms": round(1e3 * s), "ratio": round(first / s, 2)} for name, s in totals.items()
        }
    }


def load_networks(folder: Path | None, names: Iterable[str]) -> dict[str, nn.Module]:
    """The networks of a model, or of the published sizes with random weights."""
    if folder is not None:
        held = read_config(folder).networks
        return {
            name: load_network(folder, name).requires_grad_(False) for name in names if name in held
        }
    torch.manual_seed(0)
    sizes = {"gpt": GptConfig(), "clvp": ClvpConfig(), "diffusion": DiffusionConfig()}
    networks = {name: build_network(name, sizes[name]) for name in names}
    for network in networks.values():
        for name, one in network.named_parameters():
            fill_randomly(one.data, name)
        network.requires_grad_(False).eval()
    return networks


def fill_randomly(parameter: Tensor, name: str) -> None:
    """Weights of the size of trained ones; norms are left near 1."""
    if parameter.dim() > 1:
        parameter.normal_(std=0.02)
    elif name.endswith("bias"):
        parameter.zero_()
    else:
        parameter.fill_(1.0)


def format_table(found: Metrics) -> str:
    """One line for each part and contender."""
    lines = [f"{'part':<18}{'mode':<10}{'ms':>10}{'ratio':>7}  more"]
    for part, rows in found.items():
        for name, row in rows.items():
            rest = ", ".join(
                f"{key} {value:.3g}" for key, value in row.items() if key not in ("ms", "ratio")
            )
            lines.append(f"{part:<18}{name:<10}{row['ms']:>10}{row['ratio']:>7}  {rest}")
    return "\n".join(lines)


def describe_machine(threads: int, rates: MachineRates) -> Metrics:
    """What the figures were measured on."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
        "gigabytes_per_s": round(rates.bytes_per_s / 1e9, 1),
        "gigaflops": {name: round(value / 1e9) for name, value in rates.flops.items()},
        "peak_memory_mb": peak // 1024,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure from the command line."""
    cli = argparse.ArgumentParser(prog="benchmarks/speed.py", description=__doc__)
    cli.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    cli.add_argument("--model", type=Path, help="a folder of weights; default: published sizes")
    cli.add_argument("--threads", type=int, default=1)
    cli.add_argument("--repeats", type=int, default=12, help="turns of each contender")
    cli.add_argument("--padded-codes", type=int, default=PADDED_CODES)
    cli.add_argument("--json", type=Path)
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(parsed.threads)
    clock = time.process_time if parsed.threads == 1 else time.perf_counter
    rates = MachineRates.measure(clock)
    networks = load_networks(parsed.model, parsed.parts or PARTS)
    longest = parsed.padded_codes
    if parsed.model is not None:
        longest = min(longest, read_config(parsed.model).conventions.max_codes)
    setup = Setup(networks=networks, repeats=parsed.repeats, clock=clock, padded_codes=longest)
    found: Metrics = {}
    with torch.inference_mode():
        for part in networks:
            done = PARTS[part](setup, rates)
            sys.stdout.write(format_table(done) + "\n")
            sys.stdout.flush()
            found |= done
    found |= compose_sentence(found)
    machine = describe_machine(parsed.threads, rates)
    sys.stdout.write(format_table(compose_sentence(found)) + "\n" + json.dumps(machine) + "\n")
    if parsed.json:
        parsed.json.write_text(json.dumps({"machine": machine, "parts": found}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
