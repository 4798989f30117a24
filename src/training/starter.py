"""Build the starter bundle from nothing, stage by stage.

    python -m training.starter all --work FOLDER

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

from jobs.report import Reporter
from tortoise.tokenizer import load_tokenizer
from training.codes import SpokenCorpus, write_codes, write_tokens
from training.corpus.build import build
from training.corpus.reader import Row, read_index, split_held_out, whole_shards
from training.features import Features, write_features
from training.finished import Finished
from training.latents import Latents, write_latents
from training.listen import Listener
from training.recipe_clvp import train_clvp
from training.recipe_cvvp import train_cvvp
from training.recipe_diffusion import Teaching, train_diffusion
from training.recipe_dvae import train_dvae
from training.recipe_gpt import train_gpt
from training.recipe_random_voice import train_random_voice
from training.recipe_vocoder import pools_of, train_vocoder
from training.recipes import Recipes
from training.starter_bundle import voice_latents, write_bundle
from training.strangers import read_strangers
from training.teller import Teller

STARTER = Path(__file__).resolve().parents[2] / "models" / "starter"
CODE_BOOK_CLIPS = 7_500  # enough to learn 1,024 codes from
DIFFUSION_CLIPS = 25_000
STAND_INS = "martin", "clara"  # speak for strangers of a low and of a high voice
SPEECH_SHARE = 0.25  # of the vocoder's batches, where there are recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The work folder, and what every stage needs from it."""

    folder: Path
    report: Reporter
    speech: tuple[Path, ...] = ()  # folders of recordings for what needs no transcript
    recipes: Recipes = field(default_factory=Recipes)

    @property
    def corpus(self) -> Path:
        """The folder of synthetic speech."""
        return self.folder / "corpus"

    def rows(self) -> tuple[list[Row], list[Row]]:
        """Clips to learn from, and clips held out."""
        return split_held_out(read_index(self.corpus))

    def norms(self) -> Tensor:
        """What each band of the 22.05 kHz mel is divided by: (80,)."""
        return load_file(self.folder / "mel_stats.safetensors")["mel_norms"]

    def spoken(self) -> tuple[SpokenCorpus, SpokenCorpus]:
        """Texts and codes of both kinds of clips."""
        learned, held = self.rows()
        return SpokenCorpus(self.corpus, learned), SpokenCorpus(self.corpus, held)

    def finished(self) -> Finished:
        """The networks that earlier stages left behind."""
        return Finished(folder=self.folder, recipes=self.recipes)


def make_corpus(shop: Workshop) -> None:
    """Let the synthesizers speak."""
    build(shop.corpus, shop.recipes.corpus, os.cpu_count() or 1, shop.report)


def make_features(shop: Workshop) -> None:
    """Mels of both kinds for every clip, and what each band is divided by."""
    rows, processes = read_index(shop.corpus), os.cpu_count() or 1
    write_features(shop.corpus, rows, "gpt", processes, shop.report)
    write_features(shop.corpus, rows, "vocoder", processes, shop.report)
    if not (shop.folder / "mel_stats.safetensors").exists():
        features = Features(shop.corpus, rows[:2000], "gpt")
        frames = torch.cat([features[index] for index in range(0, len(features), 4)])  # (f, 80)
        # negative like the published ones: a loud band comes out small, silence large
        norms = -frames.square().mean(0).sqrt()
        save_file({"mel_norms": norms}, shop.folder / "mel_stats.safetensors")


def make_dvae(shop: Workshop) -> None:
    """The code book."""
    mels = Features(shop.corpus, whole_shards(shop.rows()[0], CODE_BOOK_CLIPS), "gpt")
    train_dvae(shop.recipes.dvae, mels, shop.norms(), shop.folder / "dvae", shop.report)


def make_codes(shop: Workshop) -> None:
    """Every clip in codes, every text in phonemes."""
    rows = read_index(shop.corpus)
    write_codes(shop.corpus, rows, shop.finished().dvae(), shop.norms(), shop.report)
    write_tokens(shop.corpus, rows, load_tokenizer(STARTER).encode, shop.report)


def make_gpt(shop: Workshop) -> None:
    """The network that drafts."""
    learned, held = shop.spoken()
    listener = Listener(dvae=shop.finished().dvae(), norms=shop.norms())
    strangers = read_strangers(shop.speech, *STAND_INS)
    folder, norms = shop.folder / "gpt", shop.norms()
    train_gpt(shop.recipes.gpt, learned, held, norms, folder, shop.report, listener, strangers)


def make_latents(shop: Workshop) -> None:
    """What the finished GPT means by every clip that the diffusion network learns from."""
    learned, held = shop.rows()
    rows = [*whole_shards(learned, DIFFUSION_CLIPS), *held]
    write_latents(shop.corpus, rows, shop.finished().gpt(), shop.norms(), shop.report)


def make_clvp(shop: Workshop) -> None:
    """The network that ranks drafts by text."""
    learned, held = shop.spoken()
    train_clvp(shop.recipes.clvp, learned.clips, held.clips, shop.folder / "clvp", shop.report)


def make_cvvp(shop: Workshop) -> None:
    """The network that ranks drafts by voice."""
    learned, held = shop.spoken()
    train_cvvp(shop.recipes.cvvp, learned, held, shop.norms(), shop.folder / "cvvp", shop.report)


def make_diffusion(shop: Workshop) -> None:
    """The network that makes mel of what the GPT meant."""
    learned, held = shop.rows()
    folder = shop.folder / "diffusion"

    def teaching(rows: Sequence[Row]) -> Teaching:
        mels = Features(shop.corpus, rows, "vocoder")
        corpus = SpokenCorpus(shop.corpus, rows)
        return Teaching(corpus=corpus, mels=mels, latents=Latents(shop.corpus, rows, corpus))

    lessons = teaching(whole_shards(learned, DIFFUSION_CLIPS))
    train_diffusion(shop.recipes.diffusion, lessons, teaching(held), folder, shop.report)


def make_vocoder(shop: Workshop) -> None:
    """The network that makes sound of mel."""
    pools, held = pools_of(shop.corpus, shop.speech, SPEECH_SHARE)
    train_vocoder(shop.recipes.vocoder, pools, held, shop.folder / "vocoder", shop.report)


def make_random_voices(shop: Workshop) -> None:
    """The networks that make voices up."""
    latents = voice_latents(shop.corpus, shop.rows()[0], shop.finished(), shop.norms(), shop.report)
    for name, values in latents.items():
        train_random_voice(shop.recipes.random_voice, values, shop.folder / name, shop.report)


def make_bundle(shop: Workshop) -> None:
    """Everything in one folder, 16 bits a number."""
    write_bundle(shop.folder / "starter", STARTER, shop.finished(), shop.norms())


STAGES: dict[str, Callable[[Workshop], None]] = {
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
    "bundle": make_bundle,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run the stages asked for."""
    cli = argparse.ArgumentParser(prog="training.starter", description=__doc__)
    cli.add_argument("stage", choices=[*STAGES, "all"])
    cli.add_argument("--work", type=Path, required=True, help="folder of corpus and states")
    cli.add_argument("--speech", type=Path, action="append", default=[], help="recordings")
    cli.add_argument("--threads", type=int, default=os.cpu_count())
    given = cli.parse_args(arguments)
    torch.set_num_threads(given.threads)
    shop = Workshop(folder=given.work, report=Reporter(Teller()), speech=tuple(given.speech))
    for name in STAGES if given.stage == "all" else [given.stage]:
        STAGES[name](shop)


if __name__ == "__main__":
    main()
