"""Preprocessing: features of what can be used, a reason for the rest, and resuming."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.clip import Clip
from audio.ffmpeg import find_ffmpeg
from audio.io import write_clip
from core.errors import AppError
from core.progress import Cancelled, ProgressReporter
from speakers.data.options import AugmentationOptions, PreprocessOptions
from speakers.data.preprocess import PreprocessResult, preprocess
from speakers.dataset import get_feature_path, read_speaker_dataset
from speakers.modules.feature_config import FeatureConfig
from support.audio_helpers import VOICES, noise, shipped

VOICE_OF_READER = {"84": "clara", "174": "felix", "251": "vera"}
SPEAKERS_TXT = """;ID|SEX|SUBSET|MINUTES|NAME
84 | F | dev-clean | 8.0 | Renée Müller
174 | M | dev-clean | 8.0 | David
"""


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    """Three readers with three recordings each, in the layout of LibriSpeech."""
    root = tmp_path / "LibriSpeech"
    for reader, voice in VOICE_OF_READER.items():
        folder = root / "dev-clean" / reader / "100"
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            shutil.copyfile(
                VOICES / voice / f"{number}.flac", folder / f"{reader}-100-000{number}.flac"
            )
        (folder / f"{reader}-100.trans.txt").write_text(f"{reader}-100-0001 HELLO\n")
    return root


def run(
    root: Path,
    folder: Path,
    features: FeatureConfig | None = None,
    options: PreprocessOptions | None = None,
    augmentation: AugmentationOptions | None = None,
    report: ProgressReporter | None = None,
) -> PreprocessResult:
    return preprocess(
        [root],
        folder,
        features or FeatureConfig(),
        options or PreprocessOptions(),
        augmentation or AugmentationOptions(),
        report or ProgressReporter(),
    )


def test_a_dataset_holds_the_features_of_every_recording(librispeech: Path, tmp_path: Path) -> None:
    result = run(librispeech, tmp_path / "made")
    dataset = read_speaker_dataset(tmp_path / "made")
    assert (result.layout, result.speakers, result.recordings) == ("LibriSpeech", 3, 9)
    assert [speaker.id for speaker in dataset.speakers] == ["174", "251", "84"]
    for speaker in dataset.speakers:
        for file in speaker.files:
            features = np.load(get_feature_path(tmp_path / "made", file))
            assert features.dtype == np.float32 and features.shape == (file.frames, 40)
    assert dataset.statistics is not None and len(dataset.statistics.mean) == 40
    assert (result.speakers_per_batch, result.utterances_per_batch) == (2, 4)


def test_damage_of_every_kind_is_named_and_nothing_is_lost(
    librispeech: Path, tmp_path: Path
) -> None:
    if find_ffmpeg() is None:
        pytest.skip("ffmpeg is not installed")
    chapter = librispeech / "dev-clean" / "84" / "100"
    good = chapter / "84-100-0001.flac"
    expected = _damage(librispeech, chapter, good)
    result = run(librispeech, tmp_path / "made")
    told = {item.path.relative_to(librispeech).as_posix(): item.reason for item in result.left_out}
    missed = {
        name: told.get(name) for name, part in expected.items() if part not in told.get(name, "")
    }
    assert missed == {} and len(expected) >= 20
    dataset = read_speaker_dataset(tmp_path / "made")
    used = {file.source for speaker in dataset.speakers for file in speaker.files}
    assert str(chapter / "84-100-0030.m4a") in used and str(chapter / "84-100-0031.mp4") in used
    remarks = {
        item.path.relative_to(librispeech).as_posix(): item.reason for item in result.remarks
    }
    assert "not UTF-8; read as cp125" in remarks["dev-clean/84/100/84-100.trans.txt"]
    assert "not in the metadata" in remarks["251"]
    facts = {speaker.id: (speaker.name, speaker.gender) for speaker in dataset.speakers}
    assert facts["84"] == ("Renée Müller", "female") and facts["251"] == ("", None)
    every = {path for path in librispeech.rglob("*") if path.is_file() or path.is_symlink()}
    texts = {librispeech / "SPEAKERS.TXT", *librispeech.rglob("*.trans.txt")}
    accounted = {item.path for item in result.left_out} | {Path(name) for name in used} | texts
    assert every - accounted == set()
    with (tmp_path / "made" / "left_out.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(result.left_out)


def _damage(root: Path, chapter: Path, good: Path) -> dict[str, str]:
    """Damage a dataset; return the files that have to be left out and a part of each reason."""
    clip, rate = shipped(), 16_000
    wrong = {
        "84-100-0010.flac": (b"", "is empty"),
        "84-100-0011.flac": (good.read_bytes()[:3_000], "cannot be read as audio"),
        "84-100-0012.wav": (b"this is text", "cannot be read as audio"),
        "84-100-0013.m4a": (os.urandom(4_000), "cannot be read as audio"),
        "84-100-0014.flac": (good.read_bytes(), "the same recording as"),
        "84-100-0015.flac.part": (b"x", "unfinished download"),
        "._84-100-0001.flac": (b"x", "hidden file"),
        "cover.jpg": (b"x", "not an audio file (.jpg)"),
        "notes.txt": (b"x", "text that belongs to no recording"),
        "holiday.flac": (b"x", "not where LibriSpeech keeps recordings"),
        "251-100-0009.flac": (b"x", "its name says speaker 251, its folder says speaker 84"),
        "84-101.trans.txt": (b"\x81\x00\x8d", "is not text in UTF-8"),
    }
    for name, (data, _) in wrong.items():
        (chapter / name).write_bytes(data)
    silent = np.zeros(3 * rate, np.float32)
    broken = silent.copy()
    broken[100] = np.nan
    waves = {
        "84-100-0016.wav": (silent, rate, "is silent"),
        "84-100-0017.wav": (broken, rate, "NaN or infinite"),
        "84-100-0018.wav": (clip.wave[:12_000].numpy(), clip.sample_rate, "of speech"),
        "84-100-0019.wav": (clip.wave.numpy(), 4_000, "samples per second"),
        "84-100-0020.wav": (0.01 * noise(3 * rate).numpy(), rate, "of speech"),
    }
    for name, (wave, wave_rate, _) in waves.items():
        soundfile.write(chapter / name, wave, wave_rate, subtype="FLOAT")
    (chapter / "84-100-0021.flac").symlink_to(root / "gone.flac")
    (root / "train.tar.gz").write_bytes(b"x")
    (root / "loose.flac").write_bytes(b"x")
    (root / "train-other-500").mkdir()
    lonely = root / "dev-clean" / "999" / "1"
    lonely.mkdir(parents=True)
    write_clip(lonely / "999-1-0000.flac", Clip(wave=clip.wave[:54_000], sample_rate=24_000))
    for name in ("84-100-0030.m4a", "84-100-0031.mp4"):
        number = 4 if name.endswith("m4a") else 2
        source = VOICES / ("clara" if number == 4 else "iris") / f"{number}.flac"
        command = ["ffmpeg", "-v", "error", "-i", str(source), "-c:a", "aac", str(chapter / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (chapter / "84-100.trans.txt").write_bytes("84-100-0001 DÉJÀ VU – CAFÉ\n".encode("cp1252"))
    (root / "SPEAKERS.TXT").write_text(SPEAKERS_TXT, encoding="utf-16")
    where = chapter.relative_to(root).as_posix()
    return {
        **{f"{where}/{name}": reason for name, (_, reason) in wrong.items()},
        **{f"{where}/{name}": reason for name, (_, _, reason) in waves.items()},
        f"{where}/84-100-0021.flac": "which does not exist",
        "train.tar.gz": "unpack it",
        "loose.flac": "not where LibriSpeech",
        "train-other-500": "empty folder",
        "dev-clean/999/1/999-1-0000.flac": "speaker 999 has only 1 utterance",
    }


def test_an_interrupted_call_continues_and_changed_recordings_are_read_again(
    librispeech: Path, tmp_path: Path
) -> None:
    made, seen = tmp_path / "made", []

    def stop_after_four() -> bool:
        seen.append(0)
        return len(seen) > 6

    with pytest.raises(Cancelled):
        run(librispeech, made, report=ProgressReporter(stopped=stop_after_four))
    with (made / "progress.jsonl").open("a") as file:
        file.write('{"key": "cut o')
    (written,) = {len(list(made.rglob("*.npy")))}
    assert 0 < written < 9
    result = run(librispeech, made)
    assert (result.recordings, result.reused) == (9, written)
    good = librispeech / "dev-clean" / "84" / "100" / "84-100-0001.flac"
    shutil.copyfile(VOICES / "iris" / "1.flac", good)
    assert run(librispeech, made).reused == 8


def test_other_options_do_not_mix_with_features_that_exist(
    librispeech: Path, tmp_path: Path
) -> None:
    run(librispeech, tmp_path / "made")
    with pytest.raises(AppError, match="computed with other options"):
        run(librispeech, tmp_path / "made", FeatureConfig(kind="singer_mel", trim_silence=False))


@pytest.mark.parametrize(
    ("features", "bins"),
    [
        (FeatureConfig(kind="world", trim_silence=False, pitch_method="dio"), 63),
        (FeatureConfig(kind="singer_mel", pitch_condition=True, pitch_method="dio"), 127),
    ],
    ids=["world", "mel-and-pitch"],
)
def test_features_of_each_input_kind(tmp_path: Path, features: FeatureConfig, bins: int) -> None:
    pytest.importorskip("pyworld")
    for voice in ("clara", "felix"):
        (tmp_path / "in" / voice).mkdir(parents=True)
        shutil.copyfile(VOICES / voice / "1.flac", tmp_path / "in" / voice / "1.flac")
    run(tmp_path / "in", tmp_path / "made", features, PreprocessOptions(min_frames=64))
    (first, *_) = read_speaker_dataset(tmp_path / "made").speakers[0].files
    made = np.load(get_feature_path(tmp_path / "made", first))
    assert made.shape == (first.frames, bins) == (first.frames, features.bins)
    assert np.isfinite(made).all()


def test_augmented_copies_are_further_files_of_the_speaker(
    librispeech: Path, tmp_path: Path
) -> None:
    augmentation = AugmentationOptions(augmented_copies=1, room=False)
    result = run(librispeech, tmp_path / "made", augmentation=augmentation)
    assert (result.recordings, result.feature_files) == (9, 18)


def test_processes_compute_the_same_features(librispeech: Path, tmp_path: Path) -> None:
    run(librispeech, tmp_path / "one")
    run(librispeech, tmp_path / "two", options=PreprocessOptions(processes=2))
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.npy"))
    assert len(names) == 9
    for name in names:
        assert np.array_equal(np.load(tmp_path / "one" / name), np.load(tmp_path / "two" / name))


def test_one_speaker_is_too_few_and_the_right_folder_is_named(
    librispeech: Path, tmp_path: Path
) -> None:
    with pytest.raises(AppError, match=r"only 84 can be used.*dev-clean has 3 folders"):
        run(librispeech / "dev-clean" / "84", tmp_path / "made")
