"""Files of others, damaged at random, are read or refused with an error that has a code.

`MUTATIONS=500 pytest tests/test_mutations.py` tries more. A file that once broke a parser is kept
in tests/corpus/PARSER/.
"""

from __future__ import annotations

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
from safetensors.torch import save

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import CodedError
from core.paths import ProjectPaths
from engines.safetensors_io import read_pickle, read_tensors
from engines.speaker_latents import SpeakerLatents
from studio.schemas.take_metadata import TakeMetadata
from studio.settings.store import load_settings
from studio.synthesis.audio_metadata import read_metadata, write_metadata
from studio.synthesis.batch_csv import read_batch_file
from support.tiny_bundle import bpe_tokenizer
from text.tokenizer import load_tokenizer
from training.asr.transcripts.subtitles import read_subtitles
from training.asr.transcripts.whisper_json import read_transcript_json

CORPUS = Path(__file__).resolve().parent / "corpus"
ROUNDS = int(os.environ.get("MUTATIONS", "12"))
TONE = Clip(wave=0.5 * torch.sin(torch.arange(12_000) / 9), sample_rate=24_000)
RECORD = TakeMetadata(text="Hi", voice="a", engine="tortoise", bundle="b", weights_id="0",
                      seed=1, options={}, delivery={})  # fmt: skip
SRT = "1\n00:00:01,000 --> 00:00:02,500\nGood evening.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n"
TABLE = 'text,voice,seed\nGood evening.,alice,7\n"Two, words",bob,\n'
SPOKEN = {"text": "Hi", "segments": [{"start": 0.0, "end": 1.0, "text": "Hi", "words": []}]}
TOKENS = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "a": 3}


def read_settings(path: Path) -> object:
    return load_settings(ProjectPaths.from_root(path.parent))


PARSERS: dict[str, tuple[str, Callable[[Path], object]]] = {  # name -> file name, reader
    **{f"sound-{kind}": (f"a.{kind}", read_clip) for kind in ("wav", "flac", "ogg", "mp3", "opus")},
    **{f"tags-{kind}": (f"a.{kind}", read_metadata) for kind in ("wav", "flac", "ogg", "mp3")},
    "captions": ("a.srt", read_subtitles),
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
    latents = SpeakerLatents(engine="t", weights_id="w", tensors={"gpt": torch.ones(1, 8)})
    return {
        "captions": SRT.encode(),
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
    except CodedError as refusal:
        assert str(refusal)
        return
    if isinstance(found, Clip):
        assert bool(found.wave.isfinite().all()) and float(found.wave.abs().max()) <= 1


@pytest.mark.parametrize("parser", PARSERS)
def test_a_damaged_file_is_read_or_refused(parser: str, tmp_path: Path) -> None:
    content = sample(parser, tmp_path)
    check(parser, content, tmp_path)
    for seed in range(ROUNDS):
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
