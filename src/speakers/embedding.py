"""Embed waves, clips and folders with a speaker encoder.

    encoder = load_encoder("auto")      or resemblyzer, built-in, the path of a checkpoint or run
    encoder.embed_wave(wave)                            16 kHz -> (256,) of unit length
    embed_clip(encoder, read_clip(path))

Shapes: n samples, f frames, c bins, p partial utterances, e embedding. Arrays are NumPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from audio.clip import Clip, ClipError
from audio.io import WRITABLE_SUFFIXES, read_clip
from core.progress import ProgressReporter
from speakers.likeness import AUTO_NAME, BUILT_IN_NAME, PUBLISHED_NAME, choose_encoder
from speakers.modules.checkpoints import AnyEncoderModel, EncoderFileError, load_checkpoint
from speakers.modules.feature_config import FeatureConfig, FeatureStatistics
from speakers.modules.features import (
    Array,
    extract_features,
    normalize_features,
    normalize_volume,
)
from speakers.modules.partials import DEFAULT_PARTIALS, PartialOptions, compute_partial_slices
from speakers.modules.silence import trim_silence

BUILT_IN_FILE = Path(__file__).with_name("built_in.safetensors")
CHECKPOINT_NAMES = ("encoder.pt", "saved_model.pt")
BATCH_PARTIALS = 64
MIN_SPEECH_S = 0.3
SINGER_PARTIALS = PartialOptions(frames=128, step=64)
PEEWEE_PARTIALS = PartialOptions.from_overlap(0.5)
SUFFIXES = (*WRITABLE_SUFFIXES, ".m4a", ".mp4", ".aac", ".wma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partials:
    """The partial utterances of a wave. embeddings: (p, e); starts_s: of each, in the prepared
    wave; duration_s: of a part."""

    embeddings: Array
    starts_s: tuple[float, ...]
    duration_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """A loaded encoder. name: as messages call it;  kind: `ge2e`, `singer` or `peewee`."""

    name: str
    kind: str
    feature_config: FeatureConfig
    model: AnyEncoderModel
    device: torch.device
    statistics: FeatureStatistics | None = None
    step: int = 0
    partial_frames: int | None = None

    @property
    def embedding_size(self) -> int:
        """The length of an embedding."""
        return self.model.embedding_size

    @property
    def partial_options(self) -> PartialOptions:
        """How the encoder cuts utterances where nothing else is asked for."""
        if self.partial_frames is not None:
            step = max(1, self.partial_frames // 2)
            return PartialOptions(frames=self.partial_frames, step=step)
        return {"singer": SINGER_PARTIALS, "peewee": PEEWEE_PARTIALS}.get(
            self.kind, DEFAULT_PARTIALS
        )

    def embed_wave(self, wave: Array, options: PartialOptions | None = None) -> Array:
        """Return the embedding of a recording: (n,) at 16 kHz -> (e,) of unit length.

        Volume is normalized and silence trimmed first. Raises ClipError without speech.
        """
        return mean_embedding(self.embed_partials(self.prepare_wave(wave), options).embeddings)

    def embed_features(self, features: Array, options: PartialOptions | None = None) -> Array:
        """Return the embedding of extracted features: (f, c) -> (e,) of unit length.

        Features are those that `extract_features` returns, not normalized.
        """
        options = options or self.partial_options
        slices = compute_partial_slices((len(features) - 1) * 160, options)
        return mean_embedding(self._run(self._cut(features, slices)))

    def embed_whole(self, features: Array) -> Array:
        """Return the embedding of all frames at once, without parts: (f, c) -> (e,)."""
        return mean_embedding(self._run(self._normalize(features)[None]))

    def embed_partials(self, prepared: Array, options: PartialOptions | None = None) -> Partials:
        """Return the embedding of every partial utterance of a wave from `prepare_wave`."""
        options, hop = options or self.partial_options, self.feature_config.hop
        slices = compute_partial_slices(len(prepared), options, hop)
        missing = slices[-1].stop * hop - len(prepared)
        padded = np.pad(prepared, (0, missing)) if missing > 0 else prepared
        features = extract_features(padded.astype(np.float32), self.feature_config)
        rate = self.feature_config.sample_rate
        return Partials(
            embeddings=self._run(self._cut(features, slices)),
            starts_s=tuple(part.start * hop / rate for part in slices),
            duration_s=options.frames * hop / rate,
        )

    def prepare_wave(self, wave: Array) -> Array:
        """Return a wave ready for `extract_features`.  Raises ClipError where it has no speech."""
        return prepare_wave(wave, self.feature_config)

    def _cut(self, features: Array, slices: Sequence[slice]) -> Array:
        """Return the parts, normalized, short ones padded: (f, c) -> (p, frames, c)."""
        features = self._normalize(features)
        missing = slices[-1].stop - len(features)
        if missing > 0:
            floor = features.min(0, keepdims=True)
            features = np.concatenate([features, np.repeat(floor, missing, axis=0)])
        return np.stack([features[part] for part in slices])

    def _normalize(self, features: Array) -> Array:
        known = self.statistics
        mean = None if known is None else np.array(known.mean)
        std = None if known is None else np.array(known.std)
        return normalize_features(features, self.feature_config.normalization, mean, std).astype(
            np.float32
        )

    def _run(self, parts: Array) -> Array:
        found = []
        with torch.inference_mode():
            for batch in torch.from_numpy(np.ascontiguousarray(parts)).split(BATCH_PARTIALS):
                found.append(self.model(batch.to(self.device)).float().cpu())
        return torch.cat(found).numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderEmbedding:
    """The recordings of a folder. embeddings: (files, e);  mean: (e,) of unit length;  left_out:
    file to the reason."""

    files: tuple[Path, ...]
    embeddings: Array
    mean: Array
    left_out: dict[Path, str]


def load_encoder(
    path_or_name: Path | str = AUTO_NAME, device: torch.device | str = "cpu"
) -> Encoder:
    """Load an encoder: `auto`, `resemblyzer`, `built-in`, a checkpoint file, or a run's folder.

    Raises EncoderFileError where there is none, or it cannot be read.
    """
    name = choose_encoder(str(path_or_name))
    path = _find_checkpoint(name)
    found, device = load_checkpoint(path), torch.device(device)
    is_generic = path.name in CHECKPOINT_NAMES
    is_known = name in (PUBLISHED_NAME, BUILT_IN_NAME)
    return Encoder(
        name=name if is_known else path.parent.name if is_generic else path.stem,
        kind=found.kind,
        feature_config=found.features,
        model=found.model.to(device),
        device=device,
        statistics=found.statistics,
        step=found.step,
        partial_frames=found.partial_frames,
    )


def prepare_wave(wave: Array, config: FeatureConfig) -> Array:
    """Normalize the volume and shorten pauses, where the features ask for it: (n,) -> (n',).

    Raises ClipError for a wave with less than 0.3 s of speech.
    """
    wave = np.asarray(wave, dtype=np.float32)
    if wave.ndim != 1:
        raise ClipError(f"a wave is (n,), not {wave.shape}")
    if config.trim_silence:
        wave = trim_silence(normalize_volume(wave))
    if len(wave) < MIN_SPEECH_S * config.sample_rate or not np.any(wave):
        raise ClipError(
            f"The recording has {len(wave) / config.sample_rate:.1f} s of speech; an embedding "
            f"needs {MIN_SPEECH_S} s or more."
        )
    return wave


def embed_clip(encoder: Encoder, clip: Clip, options: PartialOptions | None = None) -> Array:
    """Return the embedding of a clip of any sample rate: (e,) of unit length."""
    resampled = clip.resample(encoder.feature_config.sample_rate)
    return encoder.embed_wave(resampled.wave.numpy(), options)


def embed_folder(
    encoder: Encoder, folder: Path, report: ProgressReporter | None = None
) -> FolderEmbedding:
    """Embed every recording in a folder and below.  Raises ClipError where none can be used."""
    report = report or ProgressReporter()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    found: dict[Path, Array] = {}
    left_out: dict[Path, str] = {}
    for path in report.track(paths, "embed"):
        try:
            found[path] = embed_clip(encoder, read_clip(path))
        except (ClipError, OSError) as error:
            left_out[path] = str(error)
    if not found:
        reasons = "; ".join(f"{path.name}: {why}" for path, why in list(left_out.items())[:3])
        raise ClipError(f"{folder} has no usable recording. {reasons}".rstrip())
    embeddings = np.stack(list(found.values()))
    return FolderEmbedding(
        files=tuple(found),
        embeddings=embeddings,
        mean=mean_embedding(embeddings),
        left_out=left_out,
    )


def mean_embedding(embeddings: Array) -> Array:
    """Return the mean, of unit length: (k, e) -> (e,)."""
    mean = embeddings.mean(0)
    length = np.linalg.norm(mean)
    scaled: Array = (mean / length if length > 0 else mean).astype(np.float32)
    return scaled


def _find_checkpoint(name: str) -> Path:
    if name == BUILT_IN_NAME:
        return BUILT_IN_FILE
    if name == PUBLISHED_NAME:
        spec = find_spec(PUBLISHED_NAME)
        if spec is None or spec.origin is None:
            raise EncoderFileError(
                "The published encoder comes in the package Resemblyzer, which is not installed. "
                "See requirements-extra.txt."
            )
        return Path(spec.origin).with_name("pretrained.pt")
    path = Path(name)
    if not path.is_dir():
        return path
    known = [path / name for name in CHECKPOINT_NAMES if (path / name).is_file()]
    if not known:
        raise EncoderFileError(f"{path} holds no {' or '.join(CHECKPOINT_NAMES)}.")
    return known[0]
