"""Files of others, damaged at random, are read or refused with an error that has a code.

`MUTATIONS=500 pytest tests/test_mutations.py` tries more. A file that once broke a parser is kept
in tests/corpus/PARSER/.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from docx import Document
from openpyxl import Workbook
from safetensors.torch import save

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import CodedError
from core.paths import ProjectPaths
from core.serialization import to_dict
from core.tables.reader import read_tables
from core.yaml_io import dump_yaml
from engines.safetensors_io import read_pickle, read_tensors
from engines.speaker_latents import SpeakerLatents
from runs.state import STATE_FILE, StateError, load_state, save_state
from studio.history.favorites import read_stars
from studio.schemas.take_metadata import TakeMetadata
from studio.settings.store import load_settings
from studio.synthesis.audio_metadata import read_metadata, write_metadata
from studio.synthesis.batch_csv import read_batch_file
from studio.synthesis.embedded_latents import parse_embedded_latents
from studio.training_runs.service import read_train_config
from studio.voices.consent import ConsentNote, parse_consent, read_consent, to_text
from support.finetune_helpers import CONFIG
from support.tiny_bundle import bpe_tokenizer
from text.tokenizer import load_tokenizer
from tortoise.checkpoints.config import read_config as read_bundle_config
from training.asr.transcripts.subtitles import read_subtitles
from training.asr.transcripts.whisper_json import read_transcript_json
from training.dataset_prep.manifest import Dataset, ManifestError, read_dataset
from training.finetuning.config.schema import ConfigError
from training.gold.transcripts import read_transcript

CORPUS = Path(__file__).resolve().parent / "corpus"
ROUNDS = int(os.environ.get("MUTATIONS", "16"))
MANY_ROUNDS = 100
TONE = Clip(wave=0.5 * torch.sin(torch.arange(12_000) / 9), sample_rate=24_000)
RECORD = TakeMetadata(text="Hi", voice="a", engine="tortoise", bundle="b", weights_id="0",
                      seed=1, options={}, delivery={})  # fmt: skip
SRT = "1\n00:00:01,000 --> 00:00:02,500\nGood evening.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.500\n<v Anna>Good evening.</v>\n\n00:03.0 --> 00:04.0\nBye.\n"
TABLE = 'text,voice,seed\nGood evening.,alice,7\n"Two, words",bob,\n'
SPOKEN = {"text": "Hi", "segments": [{"start": 0.0, "end": 1.0, "text": "Hi", "words": []}]}
TOKENS = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "a": 3}

REFUSALS = (CodedError, StateError, ManifestError, ConfigError)


def read_settings(path: Path) -> object:
    return load_settings(ProjectPaths.from_root(path.parent))


PARSERS: dict[str, tuple[str, Callable[[Path], object]]] = {  # name -> file name, reader
    **{f"sound-{kind}": (f"a.{kind}", read_clip) for kind in ("wav", "flac", "ogg", "mp3", "opus")},
    **{f"tags-{kind}": (f"a.{kind}", read_metadata) for kind in ("wav", "flac", "ogg", "mp3")},
    "captions": ("a.srt", read_subtitles),
    "web-captions": ("a.vtt", read_subtitles),
    "turns-text": ("a.txt", read_transcript),
    "turns-page": ("a.html", read_transcript),
    "turns-captions": ("a.vtt", read_transcript),
    "turns-json": ("a.json", read_transcript),
    "turns-document": ("a.docx", read_transcript),
    "workbook": ("a.xlsx", read_tables),
    "columns": ("a.txt", read_tables),
    "manifest": ("dataset.json", lambda path: read_dataset(path.parent)),
    "training": ("train.yaml", lambda path: read_train_config(path.parent)),
    "bundle": ("config.json", lambda path: read_bundle_config(path.parent)),
    "state": ("state.pt", lambda path: load_state(path.parent)),
    "consent": ("consent.yaml", lambda path: read_consent(path.parent)),
    "note": ("a.json", lambda path: parse_consent(path.read_text("utf-8", "replace"))),
    "voice": ("a.txt", lambda path: parse_embedded_latents(path.read_text("latin-1"), "a.wav")),
    "stars": ("stars.json", read_stars),
    "words": ("a.json", read_transcript_json),
    "table": ("a.csv", read_batch_file),
    "tokenizer": ("tokenizer.json", lambda path: load_tokenizer(path.parent)),
    "tensors": ("a.safetensors", read_tensors),
    "latents": ("a.safetensors", SpeakerLatents.load),
    "archive": ("a.pth", read_pickle),
    "settings": ("settings.yaml", read_settings),
}


@lru_cache
def sample(parser: str, folder: Path) -> bytes:
    """A valid file of the kind."""
    name, _ = PARSERS[parser]
    path = folder / name
    kind = parser.partition("-")[0]
    if kind in ("sound", "tags"):
        write_clip(path, TONE)
        if kind == "tags":
            write_metadata(path, RECORD)
        return path.read_bytes()
    if parser == "archive":
        stream = io.BytesIO()
        torch.save({"gpt": torch.ones(1, 8), "step": 7}, stream)
        return stream.getvalue()
    if parser == "state":
        save_state(folder, {"step": 7, "parts": {"gpt": torch.ones(8)}})
        return (folder / STATE_FILE).read_bytes()
    if parser == "turns-document":
        document = Document()
        document.add_paragraph("Anna: Good evening.")
        document.save(str(path))
        return path.read_bytes()
    if parser == "workbook":
        book = Workbook()
        book.active.append(["clip.wav", "Good evening.", 7])
        book.save(path)
        return path.read_bytes()
    return text_sample(parser)


def text_sample(parser: str) -> bytes:
    """A valid file of a kind that is text, or tensors."""
    latents = SpeakerLatents(engine="t", weights_id="w", tensors={"gpt": torch.ones(1, 8)})
    return {
        "captions": SRT.encode(),
        "web-captions": VTT.encode(),
        "turns-text": b"Anna: Good evening.\n\nBob: Bye.\n",
        "turns-page": b"<html><p>Anna: Good evening.</p><p>Bob: Bye.</p></html>",
        "turns-captions": VTT.encode(),
        "turns-json": json.dumps({"segments": [{**SPOKEN, "speaker": "Anna"}]}).encode(),
        "columns": b"a.wav|Good evening.|1\nb.wav|Bye.|2\n",
        "manifest": json.dumps(to_dict(Dataset(name="tiny"))).encode(),
        "training": dump_yaml(CONFIG).encode(),
        "bundle": json.dumps({"about": "tiny", "format": 1, "networks": {}}).encode(),
        "consent": b"basis: own\nspeaker: Anna\n",
        "note": to_text(ConsentNote(basis="own", speaker="Anna")).encode(),
        "voice": base64.b64encode(latents.to_bytes({"consent": "{}"})),
        "stars": b'["alice/a.wav", "bob/b.wav"]',
        "words": json.dumps(SPOKEN).encode(),
        "table": TABLE.encode(),
        "tokenizer": bpe_tokenizer(TOKENS).encode(),
        "tensors": save({"a": torch.ones(3, 4), "b": torch.zeros(2)}),
        "latents": latents.to_bytes(),
        "settings": b"voice: alice\nvolume: 0.5\noptions: {seed: 1}\n",
    }[parser]


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Change, cut, repeat or insert bytes, one to four times."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) or 1)
        size = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size] * chance.randint(1, 50)
            case 3:
                data[at : at + size] = chance.choice((b"\0", b"\xff", b"9", b"[", b'"')) * size
            case 4:
                data[at:at] = chance.choice((b"-1", b"1e999", b"NaN", b"\xed\xa0\x80", b"\n"))
            case _:
                del data[at:]
    return bytes(data)


def check(parser: str, content: bytes, folder: Path) -> None:
    name, read = PARSERS[parser]
    path = folder / name
    path.write_bytes(content)
    try:
        found = read(path)
    except REFUSALS as refusal:
        assert str(refusal)
        return
    if isinstance(found, Clip):
        assert bool(found.wave.isfinite().all()) and float(found.wave.abs().max()) <= 1


@pytest.mark.parametrize("parser", PARSERS)
def test_a_damaged_file_is_read_or_refused(parser: str, tmp_path: Path) -> None:
    assert ROUNDS * len(PARSERS) >= 500
    try_damage(parser, tmp_path, range(ROUNDS))


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("parser", PARSERS)
def test_many_damaged_files_are_read_or_refused(parser: str, tmp_path: Path) -> None:
    try_damage(parser, tmp_path, range(ROUNDS, ROUNDS + MANY_ROUNDS))


def try_damage(parser: str, tmp_path: Path, seeds: range) -> None:
    content = sample(parser, tmp_path)
    check(parser, content, tmp_path)
    for seed in seeds:
        damaged = mutate(content, random.Random(f"{parser} {seed}"))
        try:
            check(parser, damaged, tmp_path)
        except BaseException as error:
            error.add_note(f"seed {seed}; keep the file in tests/corpus/{parser}/")
            raise


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_file_that_once_broke_a_parser_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    check(path.parent.name, path.read_bytes(), tmp_path)


def test_damage_is_the_same_in_every_run() -> None:
    content = bytes(np.arange(256, dtype=np.uint8))
    first, second = (mutate(content, random.Random("a 1")) for _ in range(2))
    assert first == second != content
