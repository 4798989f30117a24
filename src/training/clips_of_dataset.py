"""The clips of a dataset as the networks see them: heard once, then the same for a whole run.

What was heard lies in `.cache` of the dataset, named by the weights and the files it came from,
and in the folder of the run, so that the run goes on though the dataset changes or is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from jobs.report import Reporter
from speech.clip import ClipError
from speech.files import read_clip
from speech.mel import GPT_MEL, VOCODER_MEL, log_mel
from tortoise.bundle import MEL_STATS_FILE, TENSORS_SUFFIX, network_file, replace_file, sha256_of
from tortoise.weights import Bundle
from training.config import DataChoice
from training.manifest import read_lines
from training.preflight_clips import FEWEST_CODES, find_audio
from training.train_state import room_on_disk

CLIPS_FILE = "clips.safetensors"
FORMAT = 1
NOT_READING = ("config.json", "checksums.json", "README.md", "finetune.json", "merge.json")
SHOWN = 3


class DatasetError(ValueError):
    """A dataset cannot be trained on: what came, what is allowed, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardClip:
    """One clip.

    text: (t,) ids;  codes: (m,);  gpt_mel: (f, 80) and vocoder_mel: (f', 100) log-mels in float16.
    """

    name: str
    text: Tensor
    codes: Tensor
    gpt_mel: Tensor
    vocoder_mel: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardClips:
    """All clips of a run. left_out: why some of the dataset's lines are not among them."""

    train: tuple[HeardClip, ...]
    validation: tuple[HeardClip, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    audio: Path | None
    text: str
    part: str
    name: str


def clips_of_run(
    run: Path, dataset: Path, choice: DataChoice, bundle: Bundle, report: Reporter
) -> HeardClips:
    """Return the clips that this run began with; at its start, those of the dataset.

    Raises DatasetError where nothing is left to learn from.
    """
    kept = run / CLIPS_FILE
    if not kept.is_file():
        _link(hear_dataset(dataset, choice, bundle, report), kept)
    return load_clips(kept)


def hear_dataset(dataset: Path, choice: DataChoice, bundle: Bundle, report: Reporter) -> Path:
    """Hear every clip, unless that was done before; returns the file that holds them."""
    if not dataset.is_dir():
        raise DatasetError(f"There is no dataset at {dataset}. Prepare it again.")
    lines = _lines(dataset, choice)
    path = dataset / ".cache" / f"clips-{_key(lines, bundle)}{TENSORS_SUFFIX}"
    if not path.is_file():
        clips = _hear(lines, bundle, report)
        replace_file(path, lambda beside: _save(clips, beside))
        for old in path.parent.glob(f"clips-*{TENSORS_SUFFIX}"):
            if old != path:
                old.unlink(missing_ok=True)
    return path


def load_clips(path: Path) -> HeardClips:
    """Read what was heard."""
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {}).get("clips", "{}"))
            kinds = {name: file.get_tensor(name) for name in KINDS}
    except (SafetensorError, json.JSONDecodeError) as error:
        raise DatasetError(
            f"{path} is damaged ({error}). Delete it and begin a new run."
        ) from error
    if told.get("format") != FORMAT:
        raise DatasetError(f"{path} is of another version. Delete it and begin a new run.")
    columns = {name: kinds[name].split(told[name]) for name in KINDS}
    clips = [
        HeardClip(name=name, text=text.long(), codes=codes.long(), gpt_mel=low, vocoder_mel=high)
        for name, text, codes, low, high in zip(
            told["names"], *(columns[name] for name in KINDS), strict=True
        )
    ]
    learned = told["learned"]
    return HeardClips(
        train=tuple(clips[:learned]),
        validation=tuple(clips[learned:]),
        left_out=tuple(told["left_out"]),
    )


KINDS = ("text", "codes", "gpt_mel", "vocoder_mel")


def _lines(dataset: Path, choice: DataChoice) -> list[_Line]:
    parts = {"train": dataset / choice.train, "validation": dataset / choice.validation}
    return [
        _Line(audio=find_audio(dataset, audio), text=text, part=part, name=Path(audio).stem)
        for part, path in parts.items()
        if part == "train" or path.is_file()
        for audio, text in read_lines(path)
    ]


def _key(lines: Sequence[_Line], bundle: Bundle) -> str:
    """Name all that decides what is heard."""
    digest = hashlib.sha256(f"{FORMAT}".encode())
    readers = [
        file
        for file in sorted(bundle.folder.iterdir())
        if file.is_file() and file.suffix != TENSORS_SUFFIX and file.name not in NOT_READING
    ]
    for file in (network_file(bundle.folder, "dvae"), bundle.folder / MEL_STATS_FILE, *readers):
        if file.is_file():
            digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    for line in lines:
        size, changed = 0, 0
        if line.audio is not None:
            known = line.audio.stat()
            size, changed = known.st_size, known.st_mtime_ns
        digest.update(f"{line.part}|{line.name}|{line.text}|{size}|{changed}\n".encode())
    return digest.hexdigest()[:16]


def _hear(lines: Sequence[_Line], bundle: Bundle, report: Reporter) -> HeardClips:
    heard: dict[str, list[HeardClip]] = {"train": [], "validation": []}
    left_out: dict[str, list[str]] = {}
    for line in report.track(lines, "listening"):
        try:
            heard[line.part].append(_hear_line(line, bundle))
        except DatasetError as reason:
            left_out.setdefault(str(reason), []).append(line.name)
    told = tuple(_told(reason, names) for reason, names in left_out.items())
    if not heard["train"]:
        why = " ".join(told) or "Its list of clips to learn from is empty."
        raise DatasetError(f"There is nothing to learn from. {why} Look at the dataset's clips.")
    return HeardClips(
        train=tuple(heard["train"]), validation=tuple(heard["validation"]), left_out=told
    )


@torch.inference_mode()
def _hear_line(line: _Line, bundle: Bundle) -> HeardClip:
    """Hear one clip.  Raises DatasetError, saying why, where it cannot be learned from."""
    conventions, sizes = bundle.conventions, bundle.config.architecture("gpt")
    text = bundle.tokenizer.encode(line.text)
    if not text:
        raise DatasetError("nothing is said that the model can read")
    if len(text) > min(conventions.text_limit - 2, sizes.max_text_tokens):
        raise DatasetError("the text is too long for the model")
    if line.audio is None:
        raise DatasetError("the file is missing")
    try:
        clip = read_clip(line.audio)
    except (ClipError, OSError):
        raise DatasetError("the file cannot be read as sound") from None
    low = clip.resampled(GPT_MEL.sample_rate).wave
    if len(low) < FEWEST_CODES * conventions.samples_per_code:
        raise DatasetError("it is too short")
    gpt_mel = log_mel(low, GPT_MEL)[0].T.half()
    codes = _codes(gpt_mel, bundle)
    if len(codes) > min(conventions.max_codes, sizes.max_mel_tokens):
        raise DatasetError("it is too long for the model")
    high = clip.resampled(VOCODER_MEL.sample_rate).wave.clamp(-1.0, 1.0)
    return HeardClip(
        name=line.name,
        text=torch.tensor(text),
        codes=codes,
        gpt_mel=gpt_mel,
        vocoder_mel=log_mel(high, VOCODER_MEL)[0].T.half(),
    )


def _codes(gpt_mel: Tensor, bundle: Bundle) -> Tensor:
    """gpt_mel: (f, 80) log-mel.  Returns (m,)."""
    dvae = bundle.dvae
    lacking = -len(gpt_mel) % dvae.config.frames_per_code
    mel = (gpt_mel.float() / bundle.mel_stats.norms).T[None]
    return dvae.encode(F.pad(mel, (0, lacking), mode="replicate"))[0].cpu()


def _told(reason: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Left out because {reason}: {shown}{more}."


def _save(clips: HeardClips, path: Path) -> None:
    everything = [*clips.train, *clips.validation]
    columns = {name: [getattr(clip, name) for clip in everything] for name in KINDS}
    told = {
        "format": FORMAT,
        "names": [clip.name for clip in everything],
        "learned": len(clips.train),
        "left_out": list(clips.left_out),
        **{name: [len(value) for value in values] for name, values in columns.items()},
    }
    tensors = {name: torch.cat(values) for name, values in columns.items()}
    tensors["text"], tensors["codes"] = tensors["text"].int(), tensors["codes"].int()
    with room_on_disk(path):
        save_file(tensors, path, metadata={"clips": json.dumps(told)})


def _link(source: Path, target: Path) -> None:
    """Let the run have the file too, whatever becomes of the dataset."""
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, beside)
    beside.replace(target)
