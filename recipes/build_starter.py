"""Build the starter bundle from nothing, stage by stage.

    python -m recipes.build_starter all --work FOLDER

Every stage keeps its state in the work folder and goes on where it stopped; a `stop` file in a
stage's folder ends it early. What `bundle` writes may replace `models/starter`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.progress import ProgressReporter
from recipes.corpus.build import build_corpus
from recipes.corpus.reader import CorpusRow, read_index, select_whole_shards, split_held_out
from recipes.data.audition import SampleWriter
from recipes.data.codes import TokenizedCorpus, write_codes, write_tokens
from recipes.data.features import MelDataset, write_features
from recipes.data.latents import GptLatents, write_latents
from recipes.data.voice_augmentation import read_unseen_speakers
from recipes.export_bundle import compute_voice_latents, write_starter_model
from recipes.loop import ProgressPrinter
from recipes.recipes import Recipes
from recipes.stage_outputs import StageOutputs
from recipes.train_clvp import train_clvp
from recipes.train_cvvp import train_cvvp
from recipes.train_diffusion import DiffusionData, train_diffusion
from recipes.train_dvae import train_dvae
from recipes.train_gpt import train_gpt
from recipes.train_random_latents import train_random_latents
from recipes.train_vocoder import load_wave_pools, train_vocoder
from text.tokenizer import load_tokenizer

STARTER_DIR = Path(__file__).resolve().parents[1] / "models" / "starter"
DVAE_CLIPS = 7_500  # enough to learn 1,024 codes from
DIFFUSION_CLIPS = 25_000
STAND_IN_SPEAKERS = "martin", "clara"  # speak for strangers of a low and of a high voice
RECORDINGS_SHARE = 0.25  # of the vocoder's batches, where there are recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """The work folder, and what every stage needs from it."""

    folder: Path
    report: ProgressReporter
    speech: tuple[Path, ...] = ()  # folders of recordings for what needs no transcript
    recipes: Recipes = field(default_factory=Recipes)

    @property
    def corpus(self) -> Path:
        """The folder of synthetic speech."""
        return self.folder / "corpus"

    def read_rows(self) -> tuple[list[CorpusRow], list[CorpusRow]]:
        """Clips to learn from, and clips held out."""
        return split_held_out(read_index(self.corpus))

    def load_mel_norms(self) -> Tensor:
        """What each band of the 22.05 kHz mel is divided by: (80,)."""
        return load_file(self.folder / "mel_stats.safetensors")["mel_norms"]

    def load_corpora(self) -> tuple[TokenizedCorpus, TokenizedCorpus]:
        """Texts and codes of both kinds of clips."""
        learned, held = self.read_rows()
        return TokenizedCorpus(self.corpus, learned), TokenizedCorpus(self.corpus, held)

    def get_finished_networks(self) -> StageOutputs:
        """The networks that earlier stages left behind."""
        return StageOutputs(folder=self.folder, recipes=self.recipes)


def make_corpus(shop: BuildContext) -> None:
    """Let the synthesizers speak."""
    build_corpus(shop.corpus, shop.recipes.corpus, os.cpu_count() or 1, shop.report)


def make_features(shop: BuildContext) -> None:
    """Mels of both kinds for every clip, and what each band is divided by."""
    rows, processes = read_index(shop.corpus), os.cpu_count() or 1
    write_features(shop.corpus, rows, "gpt", processes, shop.report)
    write_features(shop.corpus, rows, "vocoder", processes, shop.report)
    if not (shop.folder / "mel_stats.safetensors").exists():
        features = MelDataset(shop.corpus, rows[:2000], "gpt")
        frames = torch.cat([features[index] for index in range(0, len(features), 4)])  # (f, 80)
        # negative like the published ones: a loud band comes out small, silence large
        norms = -frames.square().mean(0).sqrt()
        save_file({"mel_norms": norms}, shop.folder / "mel_stats.safetensors")


def make_dvae(shop: BuildContext) -> None:
    """The code book."""
    mels = MelDataset(shop.corpus, select_whole_shards(shop.read_rows()[0], DVAE_CLIPS), "gpt")
    train_dvae(shop.recipes.dvae, mels, shop.load_mel_norms(), shop.folder / "dvae", shop.report)


def make_codes(shop: BuildContext) -> None:
    """Every clip in codes, every text in phonemes."""
    rows = read_index(shop.corpus)
    write_codes(
        shop.corpus, rows, shop.get_finished_networks().dvae(), shop.load_mel_norms(), shop.report
    )
    write_tokens(shop.corpus, rows, load_tokenizer(STARTER_DIR).encode, shop.report)


def make_gpt(shop: BuildContext) -> None:
    """The network that drafts."""
    learned, held = shop.load_corpora()
    listener = SampleWriter(dvae=shop.get_finished_networks().dvae(), norms=shop.load_mel_norms())
    strangers = read_unseen_speakers(shop.speech, *STAND_IN_SPEAKERS)
    folder, norms = shop.folder / "gpt", shop.load_mel_norms()
    train_gpt(shop.recipes.gpt, learned, held, norms, folder, shop.report, listener, strangers)


def make_latents(shop: BuildContext) -> None:
    """What the finished GPT means by every clip that the diffusion network learns from."""
    learned, held = shop.read_rows()
    rows = [*select_whole_shards(learned, DIFFUSION_CLIPS), *held]
    write_latents(
        shop.corpus, rows, shop.get_finished_networks().gpt(), shop.load_mel_norms(), shop.report
    )


def make_clvp(shop: BuildContext) -> None:
    """The network that ranks drafts by text."""
    learned, held = shop.load_corpora()
    train_clvp(shop.recipes.clvp, learned.clips, held.clips, shop.folder / "clvp", shop.report)


def make_cvvp(shop: BuildContext) -> None:
    """The network that ranks drafts by voice."""
    learned, held = shop.load_corpora()
    train_cvvp(
        shop.recipes.cvvp, learned, held, shop.load_mel_norms(), shop.folder / "cvvp", shop.report
    )


def make_diffusion(shop: BuildContext) -> None:
    """The network that makes mel of what the GPT meant."""
    learned, held = shop.read_rows()
    folder = shop.folder / "diffusion"

    def teaching(rows: Sequence[CorpusRow]) -> DiffusionData:
        mels = MelDataset(shop.corpus, rows, "vocoder")
        corpus = TokenizedCorpus(shop.corpus, rows)
        return DiffusionData(
            corpus=corpus, mels=mels, latents=GptLatents(shop.corpus, rows, corpus)
        )

    lessons = teaching(select_whole_shards(learned, DIFFUSION_CLIPS))
    train_diffusion(shop.recipes.diffusion, lessons, teaching(held), folder, shop.report)


def make_vocoder(shop: BuildContext) -> None:
    """The network that makes sound of mel."""
    pools, held = load_wave_pools(shop.corpus, shop.speech, RECORDINGS_SHARE)
    train_vocoder(shop.recipes.vocoder, pools, held, shop.folder / "vocoder", shop.report)


def make_random_voices(shop: BuildContext) -> None:
    """The networks that make voices up."""
    latents = compute_voice_latents(
        shop.corpus,
        shop.read_rows()[0],
        shop.get_finished_networks(),
        shop.load_mel_norms(),
        shop.report,
    )
    for name, values in latents.items():
        train_random_latents(shop.recipes.random_voice, values, shop.folder / name, shop.report)


def export_starter(shop: BuildContext) -> None:
    """Everything in one folder, 16 bits a number."""
    write_starter_model(
        shop.folder / "starter", STARTER_DIR, shop.get_finished_networks(), shop.load_mel_norms()
    )


STAGES: dict[str, Callable[[BuildContext], None]] = {
    "corpus": make_corpus,
    "features": make_features,
    "dvae": make_dvae,
    "codes": make_codes,
    "gpt": make_gpt,
    "latents": make_latents,
    "clvp": make_clvp,
    "cvvp": make_cvvp,
    "diffusion": make_diffusion,
    "vocoder": make_vocoder,
    "random_voices": make_random_voices,
    "bundle": export_starter,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run the stages asked for."""
    cli = argparse.ArgumentParser(prog="recipes.build_starter", description=__doc__)
    cli.add_argument("stage", choices=[*STAGES, "all"])
    cli.add_argument("--work", type=Path, required=True, help="folder of corpus and states")
    cli.add_argument("--speech", type=Path, action="append", default=[], help="recordings")
    cli.add_argument("--threads", type=int, default=os.cpu_count())
    given = cli.parse_args(arguments)
    torch.set_num_threads(given.threads)
    shop = BuildContext(
        folder=given.work, report=ProgressReporter(ProgressPrinter()), speech=tuple(given.speech)
    )
    for name in STAGES if given.stage == "all" else [given.stage]:
        STAGES[name](shop)


if __name__ == "__main__":
    main()
