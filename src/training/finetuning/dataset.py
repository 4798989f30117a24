"""Extract and cache the features of a dataset: token ids, codes and mels of each clip.

The cache is `.cache` in the dataset, keyed by the weights and the audio files; the run has a link
or copy, so that it can be resumed when the dataset has changed or is deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from audio.clip import Clip, ClipError
from audio.io import read_clip
from audio.mel import GPT_MEL, VOCODER_MEL, log_mel
from core.files import parse_json
from core.progress import ProgressReporter
from engines.model_files import TENSORS_SUFFIX, get_network_path, get_sha256, write_atomically
from runs.state import link_or_copy, translate_disk_full_errors
from text.phones import PHONES, SILENCE
from tortoise.checkpoints.layout import MEL_STATS_FILE
from tortoise.checkpoints.loading import TortoiseModel
from tortoise.generation.text_plan import list_phone_classes
from tortoise.generation.voice_conditioning import embed_speaker, load_codec_encoder
from tortoise.modules.speaker_codec import SpeakerCodec
from training.asr.base import SAMPLE_RATE
from training.asr.forced_alignment import LANGUAGE, can_align
from training.dataset_prep.manifest import read_clip_list
from training.finetuning.config.schema import DatasetConfig
from training.finetuning.phone_alignment import align_tokens, time_tokens
from training.finetuning.preflight.clips import MIN_CODES, find_audio

CLIPS_FILE = "clips.safetensors"
FORMAT_VERSION = 1
ALIGNMENT_VERSION = 2  # of the durations; features of an older one are extracted again
FILES_WITHOUT_EFFECT_ON_FEATURES = (
    "config.json",
    "checksums.json",
    "README.md",
    "finetune.json",
    "merge.json",
)
MAX_NAMES_SHOWN = 3


class DatasetError(ValueError):
    """A dataset cannot be trained on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingExample:
    """One clip.

    text: (t,) ids;  codes: (m,);  gpt_mel: (f, 80) and vocoder_mel: (f', 100) log-mels in float16;
    for a speaker codec also speaker: (s,), and for a text aligner durations: (1 + t,) codes of the
    lead and of each token.
    """

    name: str
    text: Tensor
    codes: Tensor
    gpt_mel: Tensor
    vocoder_mel: Tensor
    durations: Tensor | None = None
    speaker: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatasetSplits:
    """The clips of a run. left_out: sentences on why clips were skipped."""

    train: tuple[TrainingExample, ...]
    validation: tuple[TrainingExample, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ListedClip:
    audio: Path | None
    text: str
    part: str
    name: str


def load_run_dataset(
    run: Path, dataset: Path, choice: DatasetConfig, bundle: TortoiseModel, report: ProgressReporter
) -> DatasetSplits:
    """Load the features of a run; at its start, extract them.

    Raises DatasetError where no clip can be used.
    """
    kept = run / CLIPS_FILE
    if not kept.is_file():
        link_or_copy(extract_features(dataset, choice, bundle, report), kept)
    return load_features(kept)


def extract_features(
    dataset: Path, choice: DatasetConfig, bundle: TortoiseModel, report: ProgressReporter
) -> Path:
    """Extract the features of a dataset unless they are cached; return the file."""
    if not dataset.is_dir():
        raise DatasetError(f"There is no dataset at {dataset}. Prepare it again.")
    lines = _list_clips(dataset, choice)
    path = dataset / ".cache" / f"clips-{_compute_cache_key(lines, bundle)}{TENSORS_SUFFIX}"
    if not path.is_file():
        clips = _extract_all(lines, bundle, report)
        write_atomically(path, lambda part: _save(clips, part))
        for old in path.parent.glob(f"clips-*{TENSORS_SUFFIX}"):
            if old != path:
                old.unlink(missing_ok=True)
    return path


def load_features(path: Path) -> DatasetSplits:
    """Load extracted features."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = parse_json((file.metadata() or {}).get("clips", "{}"))
            names = [*FEATURE_NAMES, *(name for name in OPTIONAL_NAMES if name in metadata)]
            kinds = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError) as error:
        raise DatasetError(
            f"{path} is damaged ({error}). Delete it and start a new run."
        ) from error
    if metadata.get("format") != FORMAT_VERSION:
        raise DatasetError(f"{path} is of another version. Delete it and start a new run.")
    kinds |= {name: kinds[name].long() for name in ("text", "codes")}
    columns = {name: kinds[name].split(metadata[name]) for name in names}
    clips = [
        TrainingExample(name=name, **dict(zip(names, values, strict=True)))
        for name, *values in zip(metadata["names"], *columns.values(), strict=True)
    ]
    train_count = metadata["learned"]
    return DatasetSplits(
        train=tuple(clips[:train_count]),
        validation=tuple(clips[train_count:]),
        left_out=tuple(metadata["left_out"]),
    )


FEATURE_NAMES = ("text", "codes", "gpt_mel", "vocoder_mel")
OPTIONAL_NAMES = ("durations", "speaker")


def _list_clips(dataset: Path, choice: DatasetConfig) -> list[_ListedClip]:
    parts = {"train": dataset / choice.train, "validation": dataset / choice.validation}
    return [
        _ListedClip(audio=find_audio(dataset, audio), text=text, part=part, name=Path(audio).stem)
        for part, path in parts.items()
        if part == "train" or path.is_file()
        for audio, text in read_clip_list(path)
    ]


def _compute_cache_key(lines: Sequence[_ListedClip], bundle: TortoiseModel) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION} {ALIGNMENT_VERSION}".encode())
    readers = [
        file
        for file in sorted(bundle.folder.iterdir())
        if file.is_file()
        and file.suffix != TENSORS_SUFFIX
        and file.name not in FILES_WITHOUT_EFFECT_ON_FEATURES
    ]
    for file in (get_network_path(bundle.folder, "dvae"), bundle.folder / MEL_STATS_FILE, *readers):
        if file.is_file():
            digest.update(f"{file.name} {get_sha256(file)}\n".encode())
    for line in lines:
        size, changed = 0, 0
        if line.audio is not None:
            known = line.audio.stat()
            size, changed = known.st_size, known.st_mtime_ns
        digest.update(f"{line.part}|{line.name}|{line.text}|{size}|{changed}\n".encode())
    return digest.hexdigest()[:16]


def _extract_all(
    lines: Sequence[_ListedClip], bundle: TortoiseModel, report: ProgressReporter
) -> DatasetSplits:
    examples: dict[str, list[TrainingExample]] = {"train": [], "validation": []}
    left_out: dict[str, list[str]] = {}
    for line in report.track(lines, "listening"):
        try:
            examples[line.part].append(_extract_example(line, bundle))
        except DatasetError as reason:
            left_out.setdefault(str(reason), []).append(line.name)
    reasons = tuple(_format_skipped_clips(reason, names) for reason, names in left_out.items())
    if not examples["train"]:
        why = " ".join(reasons) or "Its list of training clips is empty."
        raise DatasetError(f"There is nothing to train on. {why} Review the clips of the dataset.")
    return DatasetSplits(
        train=tuple(examples["train"]), validation=tuple(examples["validation"]), left_out=reasons
    )


@torch.inference_mode()
def _extract_example(line: _ListedClip, bundle: TortoiseModel) -> TrainingExample:
    conventions, sizes = bundle.conventions, bundle.config.architecture("gpt")
    text = bundle.tokenizer.encode(line.text)
    if not text:
        raise DatasetError("its text has no character that the model supports")
    if len(text) > min(conventions.text_limit - 2, sizes.max_text_tokens):
        raise DatasetError("the text is too long for the model")
    if line.audio is None:
        raise DatasetError("the file is missing")
    try:
        clip = read_clip(line.audio)
    except (ClipError, OSError):
        raise DatasetError("the audio file cannot be read") from None
    low = clip.resample(GPT_MEL.sample_rate).wave
    if len(low) < MIN_CODES * conventions.samples_per_code:
        raise DatasetError("it is too short")
    gpt_mel = log_mel(low, GPT_MEL)[0].T.half()
    codes = _encode_codes(gpt_mel, bundle)
    if len(codes) > min(conventions.max_codes, sizes.max_mel_tokens):
        raise DatasetError("it is too long for the model")
    high = clip.resample(VOCODER_MEL.sample_rate).wave.clamp(-1.0, 1.0)
    durations = speaker = None
    if isinstance(bundle.dvae, SpeakerCodec):
        durations = _align_text(torch.tensor(text), codes, clip, bundle)
        encoder = load_codec_encoder(bundle.folder, bundle.dvae.config.speaker_encoder)
        speaker = embed_speaker(encoder, [clip])
    return TrainingExample(
        name=line.name,
        text=torch.tensor(text),
        codes=codes,
        gpt_mel=gpt_mel,
        vocoder_mel=log_mel(high, VOCODER_MEL)[0].T.half(),
        durations=durations,
        speaker=speaker,
    )


def _align_text(text: Tensor, codes: Tensor, clip: Clip, bundle: TortoiseModel) -> Tensor | None:
    """Return the durations of the tokens (1 + t,), None where the tokens are not phones.

    Raises DatasetError where the clip is too short for its text.
    """
    codec, classes = bundle.dvae, list_phone_classes(bundle.tokenizer)
    if classes is None or not isinstance(codec, SpeakerCodec):
        return None
    if can_align(LANGUAGE):
        from training.asr.phone_times import find_phone_spans

        spoken = [PHONES[kind] for kind in classes[text].tolist() if kind > SILENCE]
        spans = find_phone_spans(clip.resample(SAMPLE_RATE).wave, spoken, ProgressReporter())
        if spans is not None:
            conventions = bundle.conventions
            code_s = conventions.samples_per_code / conventions.gpt_rate
            return time_tokens(spans, classes[text], len(codes), code_s)
    durations = align_tokens(codec.classify_phones(codes[None])[0], classes[text])
    if durations is None:
        raise DatasetError("its text is longer than its speech")
    return durations


def _encode_codes(gpt_mel: Tensor, bundle: TortoiseModel) -> Tensor:
    """gpt_mel: (f, 80) log-mel.  Returns (m,)."""
    dvae = bundle.dvae
    padding = -len(gpt_mel) % dvae.config.frames_per_code
    mel = (gpt_mel.float() / bundle.mel_stats.norms).T[None]
    return dvae.encode(F.pad(mel, (0, padding), mode="replicate"))[0].cpu()


def _format_skipped_clips(reason: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES_SHOWN])
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return f"Left out because {reason}: {shown}{more}."


def _save(clips: DatasetSplits, path: Path) -> None:
    everything = [*clips.train, *clips.validation]
    names = [
        *FEATURE_NAMES,
        *(name for name in OPTIONAL_NAMES if getattr(everything[0], name) is not None),
    ]
    columns = {name: [getattr(clip, name) for clip in everything] for name in names}
    metadata = {
        "format": FORMAT_VERSION,
        "names": [clip.name for clip in everything],
        "learned": len(clips.train),
        "left_out": list(clips.left_out),
        **{name: [len(value) for value in values] for name, values in columns.items()},
    }
    tensors = {name: torch.cat(values) for name, values in columns.items()}
    tensors["text"], tensors["codes"] = tensors["text"].int(), tensors["codes"].int()
    with translate_disk_full_errors(path):
        save_file(tensors, path, metadata={"clips": json.dumps(metadata)})
