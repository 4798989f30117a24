"""Speaker datasets in the layouts of the published ones, and the reason for each file left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import AppError
from speakers.data.discovery import scan_dataset
from speakers.data.scan import Scan
from support.audio_helpers import VOICES

CLIP = VOICES / "clara" / "1.flac"


def put(root: Path, *names: str) -> Path:
    """Create files that no scan opens, each with a content of its own."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def speakers_of(scan: Scan) -> dict[str, int]:
    names = [item.speaker for item in scan.recordings]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def reasons_of(scan: Scan, root: Path) -> dict[str, str]:
    return {item.path.relative_to(root).as_posix(): item.reason for item in scan.left_out}


@pytest.mark.parametrize(
    ("layout", "files", "speakers"),
    [
        (
            "LibriSpeech",
            ["dev-clean/84/121123/84-121123-0000.flac", "dev-clean/174/50561/174-50561-0001.flac"],
            {"174": 1, "84": 1},
        ),
        ("LibriSpeech", ["84-121123-0000.flac", "174-50561-0001.flac"], {"174": 1, "84": 1}),
        (
            "LibriTTS",
            ["dev-clean/84/121123/84_121123_000007_000001.wav", "d/2/3/2_3_000000_000000.wav"],
            {"2": 1, "84": 1},
        ),
        (
            "VCTK",
            ["wav48_silence_trimmed/p225/p225_001_mic1.flac", "wav48/s5/s5_001_mic1.flac"],
            {"p225": 1, "s5": 1},
        ),
        ("VoxCeleb1", ["wav/id10001/1zcIwhmdeo4/00001.wav", "wav/id10002/a/00001.wav"],
         {"id10001": 1, "id10002": 1}),
        ("VoxCeleb2", ["dev/aac/id00012/21Uxsk56VDQ/00001.m4a", "dev/aac/id00015/b/00001.m4a"],
         {"id00012": 1, "id00015": 1}),
        ("LJSpeech", ["LJSpeech-1.1/wavs/LJ001-0001.wav", "LJSpeech-1.1/metadata.csv"],
         {"LJSpeech-1.1": 1}),
        ("folders", ["ann/1.wav", "bob/deep/2.mp3"], {"ann": 1, "bob": 1}),
    ],
)  # fmt: skip
def test_each_layout_is_recognized_with_its_speakers(
    tmp_path: Path, layout: str, files: list[str], speakers: dict[str, int]
) -> None:
    scan = scan_dataset(put(tmp_path, *files))
    assert scan.layout == layout and speakers_of(scan) == speakers and scan.left_out == ()


def test_genders_and_names_come_from_the_metadata_of_each_dataset(tmp_path: Path) -> None:
    libri = put(tmp_path / "LibriSpeech", "dev-clean/84/121123/84-121123-0000.flac")
    (libri / "SPEAKERS.TXT").write_text(
        ";ID |SEX| SUBSET |MINUTES| NAME\n84   | F | dev-clean | 8.02 | Christie Nowak\n"
    )
    vctk = put(tmp_path / "VCTK", "wav48/p225/p225_001.wav", "txt/p225/p225_001.txt")
    (vctk / "speaker-info.txt").write_text(
        "ID  AGE  GENDER  ACCENTS  REGION\n225  23  F  English\n"
    )
    vox = put(tmp_path / "Vox", "wav/id10001/a/1.wav")
    (vox / "vox1_meta.csv").write_text(
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\nid10001\tA.J._Buckley\tm\tIreland\n"
    )
    found = {}
    for root in (libri / "dev-clean", vctk, vox):
        found |= scan_dataset(root).facts
    assert (found["84"].gender, found["84"].name) == ("female", "Christie Nowak")
    assert found["p225"].gender == "female"
    assert (found["id10001"].gender, found["id10001"].name) == ("male", "A.J. Buckley")


def test_a_csv_names_files_speakers_and_genders(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.wav")
    table = tmp_path / "list.csv"
    table.write_text(
        "path;speaker;gender\na.wav;Ann;female\nb.wav;Bob;m\nc.wav;Bob;m\na.wav;Bob;m\n;Bob;\n"
    )
    scan = scan_dataset(table)
    assert speakers_of(scan) == {"Ann": 1, "Bob": 1} and scan.facts["Bob"].gender == "male"
    assert [item.reason for item in scan.left_out] == [
        "named in line 4 of list.csv, but there is no such file",
        "named again in line 5 of list.csv",
        "line 6 names no path",
    ]


def test_recordings_that_the_index_of_ljspeech_lists_are_missed(tmp_path: Path) -> None:
    root = put(tmp_path / "LJSpeech-1.1", "wavs/LJ001-0001.wav")
    (root / "metadata.csv").write_text("LJ001-0001|Hello|Hello\nLJ001-0002|Good|Good\n")
    reasons = reasons_of(scan_dataset(root), root)
    assert reasons == {"wavs/LJ001-0002.wav": "named in metadata.csv, but there is no such file"}


def test_datasets_below_one_folder_are_read_together_and_the_wrong_one_is_named(
    tmp_path: Path,
) -> None:
    put(tmp_path, "LibriSpeech/dev/84/1/84-1-0000.flac", "VoxCeleb2/dev/aac/id00012/a/1.m4a")
    put(tmp_path, "VoxCeleb1/vox1_dev_wav.zip")
    scan = scan_dataset(tmp_path)
    assert speakers_of(scan) == {"LibriSpeech_84": 1, "VoxCeleb2_id00012": 1}
    reasons = reasons_of(scan, tmp_path)
    assert "unpack" in reasons["VoxCeleb1/vox1_dev_wav.zip"]
    assert "VoxCeleb1 keeps them as wav/id10001" in reasons["VoxCeleb1"]


def test_the_folder_of_one_speaker_names_the_folder_to_give(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.wav", "bob/1.wav")
    with pytest.raises(AppError, match=r"folder of one speaker: .* has 2 folders"):
        scan_dataset(tmp_path / "ann")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((), "is empty"),
        (("train-clean-100.tar.gz",), "1 times: archive; unpack it"),
        (("a.wav", "b.wav"), "2 times: lies in no folder of a speaker"),
    ],
)
def test_no_recordings_at_all_is_explained(
    tmp_path: Path, files: tuple[str, ...], told: str
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    with pytest.raises(AppError, match=told):
        scan_dataset(put(root, *files))


def test_a_folder_that_does_not_exist_is_answered_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "LibriSpeech").mkdir()
    with pytest.raises(AppError, match="contains the folders LibriSpeech"):
        scan_dataset(tmp_path / "Librispech" / "dev-clean")


def test_recordings_of_equal_content_are_used_once(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.wav", "bob/1.wav")
    for name in ("ann/2.wav", "bob/3.wav"):
        shutil.copyfile(tmp_path / "ann/1.wav", tmp_path / name)
    scan = scan_dataset(tmp_path)
    assert speakers_of(scan) == {"ann": 1, "bob": 1}
    reasons = reasons_of(scan, tmp_path)
    assert reasons["ann/2.wav"] == "the same recording as ann/1.wav"
    assert "labelled wrongly" in reasons["bob/3.wav"]


def test_names_of_feature_files_are_unique_and_safe(tmp_path: Path) -> None:
    put(tmp_path, "ann/a/b.wav", "ann/a_b.wav", "ann/a_b.flac", "ann/é ü?.wav")
    names = [item.name for item in scan_dataset(tmp_path).recordings]
    assert len({name.lower() for name in names}) == 4
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzéü0123456789_.-") for name in names)
