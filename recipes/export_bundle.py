"""Write the trained networks as a model, with its conventions and recommended options.

    python -m recipes.export_bundle BUNDLE --vocoder FOLDER/export

replaces the vocoder of an existing model alone.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from core.progress import ProgressReporter
from engines.model_files import CHECKSUMS_FILE, get_network_path, read_checksums, write_json
from recipes.corpus.reader import CorpusRow
from recipes.data.drafts import FREE_OPTIONS, REFERENCE_FRAMES
from recipes.data.features import MelDataset
from recipes.data.speech_store import SpeechStore
from recipes.stage_outputs import StageOutputs
from tortoise.checkpoints.config import (
    ModelConfig,
    ModelConventions,
    read_config,
    write_config,
)
from tortoise.checkpoints.loading import MelStats, load_network, save_mel_stats, save_network
from tortoise.modules.gpt import Gpt, GptConfig
from tortoise.modules.speaker_codec import SpeakerCodec
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder

VOICE_CLIPS = 3_000
CONFIDENCE_SHARE = 0.5  # of the ranking; the phones have the rest
MAX_CHUNK_TOKENS = 120  # some 8 s; clips of the corpus have up to 14 s
MAX_REFERENCE_S = 3.0  # the longest reference in the GPT's training
RECOMMENDED_OPTIONS = {
    "temperature": FREE_OPTIONS.temperature,
    "top_p": FREE_OPTIONS.top_p,
    "repetition_penalty": FREE_OPTIONS.repetition_penalty,
    "cond_free_k": 0.0,
    "vocoder": "istft",
}
"""Options of small networks: a repetition penalty hurts a small codebook, and guidance needs a
well-trained unconditioned network."""

SPEAKER_ENCODER_FILE = "speaker_encoder.safetensors"
DESCRIPTION = (
    "Trained from nothing by recipes.build_starter on speech of hibari-tts and of real people"
)


def write_starter_model(
    folder: Path, vocabulary: Path, outputs: StageOutputs, norms: Tensor
) -> None:
    """Write all networks as float16, the config and the mel statistics.

    vocabulary: the folder with tokenizer and lexicon.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gpt, codec = outputs.gpt(), outputs.codec()
    codec.mel_norms.copy_(norms)
    codec.config = replace(codec.config, speaker_encoder=SPEAKER_ENCODER_FILE)
    conventions = make_conventions(gpt.config, find_silence_code(codec, norms))
    write_config(
        folder, ModelConfig(about=DESCRIPTION, advice=RECOMMENDED_OPTIONS, conventions=conventions)
    )
    networks = {
        "gpt": gpt,
        "dvae": codec,
        "istft_vocoder": outputs.vocoder(),
        "random_gpt": outputs.random_voice("random_gpt", gpt.config.model_dim),
        "random_speaker": outputs.random_voice("random_speaker", codec.config.speaker_dim),
    }
    for name, network in networks.items():
        save_network(folder, name, network, network.config, torch.float16)
    save_mel_stats(folder, MelStats(norms=norms))
    encoder = outputs.folder / "speaker_encoder" / SPEAKER_ENCODER_FILE
    (folder / SPEAKER_ENCODER_FILE).write_bytes(encoder.read_bytes())
    for source in sorted(vocabulary.iterdir()):
        if source.name.startswith(("tokenizer", "lexicon", "lts")) and vocabulary != folder:
            (folder / source.name).write_bytes(source.read_bytes())


def replace_vocoder(bundle: Path, export: Path) -> None:
    """Make the iSTFT vocoder of a training's export the vocoder of a model, as float16."""
    network = load_network(export, "istft_vocoder")
    assert isinstance(network, IstftVocoder)
    config = read_config(bundle)
    advice = {**config.advice, "vocoder": RECOMMENDED_OPTIONS["vocoder"]}
    write_config(bundle, replace(config, vocoder=None, advice=advice))
    old = get_network_path(bundle, "vocoder")
    old.unlink(missing_ok=True)
    known = {name: entry for name, entry in read_checksums(bundle).items() if name != old.name}
    write_json(bundle / CHECKSUMS_FILE, known)
    save_network(bundle, "istft_vocoder", network, network.config, torch.float16)


def make_conventions(gpt: GptConfig, calm: int) -> ModelConventions:
    """Return the conventions of the starter."""
    return ModelConventions(
        text_limit=gpt.max_text_tokens - 2,
        piece_limit=MAX_CHUNK_TOKENS,
        max_codes=gpt.max_mel_tokens - 10,
        calm_code=calm,
        calm_follows=False,
        fixup_codes=(calm, calm, calm),
        confidence_share=CONFIDENCE_SHARE,
        gpt_clip_samples=round(MAX_REFERENCE_S * 22_050),
    )


@torch.inference_mode()
def find_silence_code(codec: SpeakerCodec, norms: Tensor) -> int:
    """Return the code of digital silence."""
    silence = torch.full((1, len(norms), 64), torch.tensor(1e-5).log().item())
    codes = codec.encode(silence / norms.unsqueeze(-1))[0]
    return int(codes[4:-4].mode().values)


@torch.inference_mode()
def compute_gpt_latents(
    corpus: Path, rows: Sequence[CorpusRow], gpt: Gpt, norms: Tensor, report: ProgressReporter
) -> Tensor:
    """Compute the GPT's latents of many clips: (n, d)."""
    mels = MelDataset(corpus, rows, "gpt")
    indices = range(0, len(rows), max(1, len(rows) // VOICE_CLIPS))
    return torch.stack(
        [
            gpt.condition((mels[index][:REFERENCE_FRAMES] / norms).T[None])[0]
            for index in report.track(indices, "speaker latents")
        ]
    )


def read_speaker_vectors(store: SpeechStore) -> Tensor:
    """Return the mean vector of each speaker of a store, of unit length: (n, s)."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    for index, (_, utterance) in enumerate(store.utterances):
        for number, version in enumerate(utterance.versions):
            found[version.speaker].append(store.read_speaker_windows(index, number).mean(0))
    return F.normalize(torch.stack([torch.stack(one).mean(0) for one in found.values()]), dim=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Replace the vocoder of a model from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.export_bundle", description=__doc__)
    cli.add_argument("bundle", type=Path)
    cli.add_argument("--vocoder", type=Path, required=True, help="export of recipes.train_vocoder")
    parsed = cli.parse_args(arguments)
    replace_vocoder(parsed.bundle, parsed.vocoder)


if __name__ == "__main__":
    main()
