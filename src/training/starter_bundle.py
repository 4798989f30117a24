"""Put finished networks into a bundle, with what they were trained to expect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from jobs.report import Reporter
from tortoise.config import BundleConfig, Conventions, write_config
from tortoise.dvae import Dvae
from tortoise.gpt import GptConfig
from tortoise.weights import MelStats, save_mel_stats, save_network
from training.corpus.reader import Row
from training.features import Features
from training.finished import Finished

VOICE_CLIPS = 3_000
HEARD_FRAMES = 240  # of either mel, about 2.7 s
MOST_ITERATIONS = 3  # more steps add grain that a small network cannot mend: 0.35 WER to 0.67
PIECE_LIMIT = (
    72  # symbols, some 5 s: few clips of the corpus are longer, and what is longer babbles
)
VOICE_S = 3.0  # the longest stretch of a voice that training showed the GPT
ADVICE = {
    "temperature": 0.6,
    "top_p": 0.9,
    "repetition_penalty": 1.1,
    "cond_free_k": 0.0,
    "vocoder": "griffin_lim",
}
"""Knobs that small networks want otherwise: every code of a small book comes often, and guidance
needs an unconditioned network that has learned enough."""

ABOUT = "Trained from nothing by training.starter on speech of flite's voices"


def write_bundle(folder: Path, vocabulary: Path, finished: Finished, norms: Tensor) -> None:
    """Write all networks as float16, the config and the mel statistics.

    vocabulary: the folder whose tokenizer and lexicon the texts were read with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gpt, dvae, diffusion = finished.gpt(), finished.dvae(), finished.diffusion()
    conventions = conventions_of(gpt.config, calm_code(dvae, norms))
    write_config(folder, BundleConfig(about=ABOUT, advice=ADVICE, conventions=conventions))
    networks = {
        "gpt": gpt,
        "dvae": dvae,
        "clvp": finished.clvp(),
        "cvvp": finished.cvvp(),
        "diffusion": diffusion,
        "vocoder": finished.vocoder(),
        "random_gpt": finished.random_voice("random_gpt", gpt.config.model_dim),
        "random_diffusion": finished.random_voice("random_diffusion", 2 * diffusion.config.width),
    }
    for name, network in networks.items():
        save_network(folder, name, network, network.config, torch.float16)
    save_mel_stats(folder, MelStats(norms=norms))
    for source in sorted(vocabulary.iterdir()):
        if source.name.startswith(("tokenizer", "lexicon", "lts")) and vocabulary != folder:
            (folder / source.name).write_bytes(source.read_bytes())


def conventions_of(gpt: GptConfig, calm: int) -> Conventions:
    """How the starter's networks are meant to be used."""
    return Conventions(
        text_limit=gpt.max_text_tokens - 2,
        piece_limit=PIECE_LIMIT,
        max_codes=gpt.max_mel_tokens - 10,
        calm_code=calm,
        calm_follows=False,
        fixup_codes=(calm, calm, calm),
        clvp_trims_codes=True,
        most_iterations=MOST_ITERATIONS,
        gpt_clip_samples=round(VOICE_S * 22_050),
    )


@torch.inference_mode()
def calm_code(dvae: Dvae, norms: Tensor) -> int:
    """The code that voices digital silence."""
    silence = torch.full((1, len(norms), 64), torch.tensor(1e-5).log().item())
    codes = dvae.encode(silence / norms.unsqueeze(-1))[0]
    return int(codes[4:-4].mode().values)


@torch.inference_mode()
def voice_latents(
    corpus: Path, rows: Sequence[Row], finished: Finished, norms: Tensor, report: Reporter
) -> dict[str, Tensor]:
    """What both networks hear in many clips: `random_gpt` (n, d), `random_diffusion` (n, 2 c)."""
    gpt, diffusion = finished.gpt(), finished.diffusion()
    heard: dict[str, list[Tensor]] = {"random_gpt": [], "random_diffusion": []}
    low, high = Features(corpus, rows, "gpt"), Features(corpus, rows, "vocoder")
    spread = range(0, len(rows), max(1, len(rows) // VOICE_CLIPS))
    for index in report.track(spread, "hearing voices"):
        mel = (low[index][:HEARD_FRAMES] / norms).T[None]
        heard["random_gpt"].append(gpt.condition(mel)[0])
        voice = high[index][:HEARD_FRAMES].T[None]
        heard["random_diffusion"].append(diffusion.get_conditioning([voice])[0])
    return {name: torch.stack(values) for name, values in heard.items()}
