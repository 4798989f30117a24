"""Train the starter model from nothing, stage by stage.

    python -m recipes.build_starter all --work FOLDER

Every stage saves its state in the work folder and resumes from it; a `stop` file in a stage's
folder ends it early. The stage `bundle` writes a model that may replace `models/starter`.
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
from recipes.build_codec import (
    TEACHER_PREFIX,
    add_recordings,
    add_teacher_shards,
    group_by_shard,
    list_teacher_shards,
    train_codec,
    train_decoder,
    train_recognizer,
)
from recipes.corpus.build_teacher import build_teacher_corpus
from recipes.corpus.reader import CorpusRow, read_index, split_held_out
from recipes.data.codes import TokenizedCorpus, write_codes, write_durations, write_tokens
from recipes.data.drafts import DraftWriter
from recipes.data.f0_labels import write_f0_labels
from recipes.data.features import MelDataset, write_features
from recipes.data.speech_store import SpeechStore, list_shards
from recipes.export_bundle import (
    SPEAKER_ENCODER_FILE,
    compute_gpt_latents,
    read_speaker_vectors,
    write_starter_model,
)
from recipes.loop import ProgressPrinter
from recipes.recipes import Recipes
from recipes.stage_outputs import StageOutputs
from recipes.train_gpt import train_gpt
from recipes.train_random_latents import train_random_latents
from recipes.train_vector_encoder import save_encoder, train_vector_encoder
from recipes.train_vocoder import load_wave_pools, train_vocoder
from text.tokenizer import load_tokenizer

STARTER_DIR = Path(__file__).resolve().parents[1] / "models" / "starter"
STORED_TEACHER_SHARDS = 44  # of the corpus, for the codec
RECORDINGS_SHARE = 0.6  # of the vocoder's batches


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """The work folder and the options of a build."""

    folder: Path
    report: ProgressReporter
    speech: tuple[Path, ...] = ()  # folders of recordings, without transcripts
    recipes: Recipes = field(default_factory=Recipes)

    @property
    def corpus(self) -> Path:
        """The folder of the corpus."""
        return self.folder / "corpus"

    @property
    def store(self) -> Path:
        """The folder of the speech that the codec is trained on."""
        return self.folder / "store"

    def read_rows(self) -> tuple[list[CorpusRow], list[CorpusRow]]:
        """Return the training clips and the held-out clips."""
        return split_held_out(read_index(self.corpus))

    def load_mel_norms(self) -> Tensor:
        """Load the norm of each band of the 22.05 kHz mel: (80,)."""
        return load_file(self.folder / "mel_stats.safetensors")["mel_norms"]

    def load_corpora(self) -> tuple[TokenizedCorpus, TokenizedCorpus]:
        """Load tokens and codes of the training clips and the held-out clips."""
        train, held_out = self.read_rows()
        return TokenizedCorpus(self.corpus, train), TokenizedCorpus(self.corpus, held_out)

    def get_finished_networks(self) -> StageOutputs:
        """Return the loader of the networks of finished stages."""
        return StageOutputs(folder=self.folder, recipes=self.recipes)


def make_teacher(context: BuildContext) -> None:
    """Synthesize the corpus."""
    build_teacher_corpus(context.corpus, context.recipes.teacher, context.report)


def make_features(context: BuildContext) -> None:
    """Extract both mels of every clip, the norms of the bands, tokens and their durations."""
    rows, processes = read_index(context.corpus), os.cpu_count() or 1
    tokenizer = load_tokenizer(STARTER_DIR)
    write_tokens(context.corpus, rows, tokenizer.encode, context.report)
    write_durations(context.corpus, rows, tokenizer.tokenize, context.report)
    write_features(context.corpus, rows, "gpt", processes, context.report)
    write_features(context.corpus, rows, "vocoder", processes, context.report)
    if not (context.folder / "mel_stats.safetensors").exists():
        features = MelDataset(context.corpus, rows[:2000], "gpt")
        frames = torch.cat([features[index] for index in range(0, len(features), 4)])  # (f, 80)
        # negative, as published
        norms = -frames.square().mean(0).sqrt()
        save_file({"mel_norms": norms}, context.folder / "mel_stats.safetensors")


def make_store(context: BuildContext) -> None:
    """Prepare the speech of real people, and a part of the corpus, for the speaker codec."""
    add_recordings(context.speech, context.store, context.report)
    add_teacher_shards(context.corpus, context.store, context.report, STORED_TEACHER_SHARDS)


def make_codec(context: BuildContext) -> None:
    train_codec(context.recipes, context.store, context.folder, context.report)


def make_speaker_encoder(context: BuildContext) -> None:
    store, folder = SpeechStore(list_shards(context.store)), context.folder / "speaker_encoder"
    encoder = train_vector_encoder(context.recipes.vector_encoder, store, folder, context.report)
    save_encoder(folder / SPEAKER_ENCODER_FILE, encoder, context.recipes.vector_encoder)


def make_codes(context: BuildContext) -> None:
    codec, norms = context.get_finished_networks().codec("codec"), context.load_mel_norms()
    codec.mel_norms.copy_(norms)
    write_codes(context.corpus, read_index(context.corpus), codec, norms, context.report)


def make_gpt(context: BuildContext) -> None:
    train, held_out = context.load_corpora()
    folder, norms = context.folder / "gpt", context.load_mel_norms()
    train_gpt(context.recipes.gpt, train, held_out, norms, folder, context.report)


def make_drafts(context: BuildContext) -> None:
    """Draw what the GPT makes of the teacher's utterances in the store."""
    networks = context.get_finished_networks()
    writer = DraftWriter(
        networks.gpt(),
        networks.codec("codec"),
        load_tokenizer(STARTER_DIR),
        context.load_mel_norms(),
    )
    rows = {name: list(group) for name, group in group_by_shard(read_index(context.corpus))}
    for shard in list_teacher_shards(context.store):
        writer.write(shard, rows[shard.name.removeprefix(TEACHER_PREFIX)], context.report)


def make_recognizer(context: BuildContext) -> None:
    train_recognizer(context.recipes, context.store, context.folder, context.report)


def make_decoder(context: BuildContext) -> None:
    train_decoder(context.recipes, context.store, context.folder, context.report)


def make_vocoder(context: BuildContext) -> None:
    recordings = context.folder / "recordings" if context.speech else None
    if recordings is not None:
        write_f0_labels(recordings, context.speech, context.report)
    pools, held_out = load_wave_pools(recordings, context.corpus, RECORDINGS_SHARE)
    train_vocoder(
        context.recipes.vocoder, pools, held_out, context.folder / "vocoder", context.report
    )


def make_random_voices(context: BuildContext) -> None:
    gpt, norms = context.get_finished_networks().gpt(), context.load_mel_norms()
    rows = context.read_rows()[0]
    latents = {
        "random_gpt": compute_gpt_latents(context.corpus, rows, gpt, norms, context.report),
        "random_speaker": read_speaker_vectors(SpeechStore(list_shards(context.store))),
    }
    for name, values in latents.items():
        train_random_latents(
            context.recipes.random_voice, values, context.folder / name, context.report
        )


def export_starter(context: BuildContext) -> None:
    write_starter_model(
        context.folder / "starter",
        STARTER_DIR,
        context.get_finished_networks(),
        context.load_mel_norms(),
    )


STAGES: dict[str, Callable[[BuildContext], None]] = {
    "teacher": make_teacher,
    "features": make_features,
    "store": make_store,
    "codec": make_codec,
    "speaker_encoder": make_speaker_encoder,
    "codes": make_codes,
    "gpt": make_gpt,
    "drafts": make_drafts,
    "recognizer": make_recognizer,
    "decoder": make_decoder,
    "vocoder": make_vocoder,
    "random_voices": make_random_voices,
    "bundle": export_starter,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages named on the command line."""
    cli = argparse.ArgumentParser(prog="recipes.build_starter", description=__doc__)
    cli.add_argument("stage", choices=[*STAGES, "all"])
    cli.add_argument("--work", type=Path, required=True, help="work folder")
    cli.add_argument("--speech", type=Path, action="append", default=[], help="recordings")
    cli.add_argument("--threads", type=int, default=os.cpu_count())
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(parsed.threads)
    context = BuildContext(
        folder=parsed.work, report=ProgressReporter(ProgressPrinter()), speech=tuple(parsed.speech)
    )
    for name in STAGES if parsed.stage == "all" else [parsed.stage]:
        STAGES[name](context)


if __name__ == "__main__":
    main()
