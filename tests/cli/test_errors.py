"""Whatever cannot be done is refused in a sentence, with exit code 2, and leaves nothing behind."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio.io import read_clip
from core.paths import ProjectPaths
from engines.model_files import ModelFileError

Run = Callable[..., tuple[int, str, str]]

WRONG = {
    "empty text": (("",), "The text is empty"),
    "blank text": ((" \n\t ",), "The text is empty"),
    "nothing speakable": (("?! ...",), "no letter or digit"),
    "no text": ((), "No text was given"),
    "bytes that are no letters": (("caf\udce9",), "not UTF-8"),
    "a voice of such bytes": (("hi", "--voice", "caf\udce9"), "is not a valid voice name"),
    "unknown voice": (("hi", "--voice", "alicia"), "Did you mean 'alice'"),
    "a path for a voice": (("hi", "--voice", "../../etc"), "is not a valid voice name"),
    "an absolute path": (("hi", "--voice", "/etc"), "is not a valid voice name"),
    "a hidden voice": (("hi", "--voice", ".cache"), "is not a valid voice name"),
    "a control character": (("hi", "--voice", "a\nb"), "is not a valid voice name"),
    "a blend with a path": (("hi", "--voice", "alice+../x"), "is not a valid voice name"),
    "a blend with a bad weight": (("hi", "--voice", "alice:x+bob"), "is not a weight"),
    "a blend of nothing": (("hi", "--voice", "alice:0+bob:0"), "all zero"),
    "a voice twice": (("hi", "--voice", "alice+alice"), "twice"),
    "too hot": (("hi", "--temperature", "9"), "from 0.05 to 2.0"),
    "not a number": (("hi", "--temperature", "warm"), "not a number"),
    "not finite": (("hi", "--temperature", "nan"), "temperature is nan"),
    "a negative seed": (("hi", "--seed=-1"), "seed is -1"),
    "an unknown choice": (("hi", "--crop", "bottom"), "one of whole, first"),
    "an unknown preset": (("hi", "--preset", "quick"), "Choose one of: fast, standard"),
    "an unknown flag": (("hi", "--temprature", "1"), "Did you mean '--temperature'"),
    "an unknown engine": (("hi", "--engine", "hare"), "no engine 'hare'"),
    "an unknown bundle": (("hi", "--bundle", "none"), "no model 'none'"),
    "a bundle with a path": (("hi", "--bundle", "../x"), "is not a valid model name"),
    "an unknown device": (("hi", "--device", "abacus"), "no device 'abacus'"),
    "no format": (("hi", "--out", "hello"), "does not end in a format"),
    "an unknown format": (("hi", "--out", "hello.txt"), "Choose one of: .wav"),
    "an impossible rate": (("hi", "--out", "a.opus", "--output-rate", "44100"), "opus can have"),
    "all in brackets": (("[hush]",), "nothing would be spoken"),
    "an override of nothing": (('{"temprature": 1} hi',), "Did you mean|did you mean"),
    "an override out of range": (('{"temperature": 99} hi',), "Line 1: temperature is 99"),
    "an override with a path": (('{"voice": "../x"} hi',), "name of a voice, not a path"),
    "an override of a voice": (('{"voice": "carol"} hi',), "Line 1: There is no voice 'carol'"),
    "a broken override": (('{"voice": } hi',), "not JSON"),
    "an unreadable clip to follow": (("--like", "nothing.wav"), "There is no file"),
    "a table and a text": (("hi", "--lines", "x.csv"), "cannot be combined with a text"),
    "a table without a folder": (("--lines", "x.csv"), "--out-dir"),
    "a folder without a table": (("hi", "--out-dir", "x"), "belongs to --lines"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused_and_leaves_nothing(
    case: str, testudo: Run, layout: ProjectPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = everything(tmp_path)
    flags, reason = WRONG[case]
    voice = () if "--voice" in flags else ("--voice", "alice")
    code, out, err = testudo("speak", *flags, *voice)
    assert (code, out) == (2, "")
    assert any(part in err for part in reason.split("|")), err
    assert err.startswith("testudo: ") and err.count("\n") == 1
    assert everything(tmp_path) == before


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def sound(seconds: float, rate: int = 24_000, level: float = 0.3) -> np.ndarray:
    return level * np.sin(np.arange(round(seconds * rate)) * 0.05)


CLIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "not an audio file": (lambda path: path.write_bytes(b"hello, this is no sound"), "bad.wav"),
    "an empty file": (lambda path: path.write_bytes(b""), "empty"),
    "silence": (lambda path: soundfile.write(path, sound(2, level=0), 24_000), "silent"),
    "too short": (lambda path: soundfile.write(path, sound(0.05), 24_000), "lasts 0.05 s"),
    "not finite": (
        lambda path: soundfile.write(path, sound(1) * np.nan, 24_000, subtype="FLOAT"),
        "NaN or infinite",
    ),
}


@pytest.mark.parametrize("case", CLIPS)
def test_a_clip_that_cannot_be_used_is_refused_by_name(
    case: str, testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    make, reason = CLIPS[case]
    folder = layout.voices / "carol"
    folder.mkdir()
    make(folder / "bad.wav")
    before = everything(tmp_path)
    out = tmp_path / "out.wav"
    code, _, err = testudo("speak", "hi", "--voice", "carol", "--out", str(out))
    assert code == 2 and "carol" in err and "bad.wav" in err and reason in err
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(96_000, 1, "PCM_24"), (11_025, 1, "PCM_U8"), (48_000, 6, "PCM_16"), (44_100, 2, "FLOAT")],
)
def test_every_usual_kind_of_recording_is_a_clip(
    testudo: Run, layout: ProjectPaths, tmp_path: Path, rate: int, channels: int, subtype: str
) -> None:
    folder = layout.voices / "carol"
    folder.mkdir()
    wave = np.stack([sound(1, rate)] * channels, axis=1)
    soundfile.write(folder / "one.wav", wave, rate, subtype=subtype)
    out = tmp_path / "out.wav"
    assert testudo("speak", "hi there", "--voice", "carol", "--out", str(out))[0] == 0


def test_a_voice_without_clips_is_refused_with_what_to_do(
    testudo: Run, layout: ProjectPaths
) -> None:
    (layout.voices / "carol").mkdir()
    code, _, err = testudo("speak", "hi", "--voice", "carol")
    assert code == 2 and "has no clips" in err and str(layout.voices / "carol") in err


def test_damaged_weights_are_refused(testudo: Run, layout: ProjectPaths, tmp_path: Path) -> None:
    (layout.models / "starter" / "weights").unlink()
    before = everything(tmp_path)
    code, _, err = testudo("speak", "hi", "--voice", "alice", "--out", str(tmp_path / "a.wav"))
    assert code == 2 and "Download the model again" in err
    assert everything(tmp_path) == before


def test_full_memory_is_reported_with_what_helps(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("support.fake_engine.FakeEngine.synthesize", refuse)
    code, _, err = testudo("speak", "hi", "--voice", "alice", "--out", str(tmp_path / "a.wav"))
    assert code == 2 and "--low-vram" in err and err.count("\n") == 1


def test_weights_found_damaged_while_speaking_stop_a_table(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelFileError("vocoder.safetensors is damaged. Download the model again.")

    monkeypatch.setattr("support.fake_engine.FakeEngine.synthesize", refuse)
    table = tmp_path / "lines.csv"
    table.write_text("text\nhi\nho\n")
    code, _, err = testudo(
        *("speak", "--lines", str(table), "--out-dir", str(tmp_path / "out"), "--voice", "alice")
    )
    assert code == 2 and err.count("\n") == 1 and "vocoder.safetensors is damaged" in err


def test_a_full_disk_is_reported_and_leaves_nothing(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    before = everything(tmp_path)
    code, _, err = testudo("speak", "hi", "--voice", "alice", "--out", str(tmp_path / "a.wav"))
    assert code == 2 and "disk is full" in err
    assert everything(tmp_path) == before


def test_a_disk_that_fills_up_while_speaking_leaves_no_half_clip(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, clip: object, *args: object, **options: object) -> None:
        path.write_bytes(b"RIFF")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("studio.workers.synthesis.take_store.write_clip", refuse)
    code, _, err = testudo("speak", "hi", "--voice", "alice", "--out", str(tmp_path / "a.wav"))
    assert code == 2 and "disk is full" in err
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_folder_that_may_not_be_written_is_refused_before_speaking(
    testudo: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = testudo(
        "speak", "hi", "--voice", "alice", "--out", str(tmp_path / "file" / "a.wav")
    )
    assert code == 2 and "not a folder" in err


def test_an_unknown_entry_of_the_settings_is_refused(testudo: Run, layout: ProjectPaths) -> None:
    layout.settings_file.write_text("voise: alice\n")
    code, _, err = testudo("speak", "hi")
    assert code == 2 and "voise" in err and "Did you mean 'voice'" in err


def test_settings_that_are_not_yaml_are_refused(testudo: Run, layout: ProjectPaths) -> None:
    layout.settings_file.write_text("voice: [alice\nformat: wav\n")
    code, _, err = testudo("voices")
    assert code == 2 and "is not YAML in line" in err


def test_the_settings_stand_where_the_command_line_is_silent(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    layout.settings_file.write_text(
        "voice: bob\nformat: flac\npreset: standard\noptions: {crop: first, samples: 9}\n"
    )
    assert testudo("speak", "Good day.")[0] == 0
    clip = layout.results / "bob" / "00001-good-day.flac"
    assert read_clip(clip).duration_s > 0
    told = testudo("read", str(clip))[1]
    assert "samples 256" in told and "crop first" in told


def test_stopping_keeps_the_takes_and_exits_with_130(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.fake_engine import FakeEngine

    speak = FakeEngine.synthesize

    def interrupted(self: FakeEngine, text: str, *rest: object) -> object:
        if "second" in text:
            raise KeyboardInterrupt
        return speak(self, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeEngine, "synthesize", interrupted)
    out = tmp_path / "out.wav"
    text = "This is the first line\nThis is the second line"
    code, _, err = testudo(
        "speak", text, "--delimiter", "\\n", "--voice", "alice", "--out", str(out)
    )
    assert code == 130 and "Stopped" in err
    kept = sorted(path.name for path in (tmp_path / "out.lines").iterdir())
    assert kept == ["001.wav", "lines.json"]
    assert not out.exists()


def test_a_mistake_of_ours_says_so(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.fake_engine.FakeEngine.sample_random_speaker", lambda *_: 1 / 0)
    code, _, err = testudo("speak", "hi", "--voice", "random", "--out", str(tmp_path / "a.wav"))
    assert code == 1 and "ZeroDivisionError" in err and "bug in Testudo" in err


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("voices/alice/one.wav", "is a clip of a voice"),
        ("mine.wav", "is not a generated clip"),
    ],
)
def test_a_recording_is_not_overwritten(
    testudo: Run, layout: ProjectPaths, place: str, reason: str
) -> None:
    recording = layout.root / place
    if not recording.exists():
        shutil.copyfile(layout.voice("alice") / "one.wav", recording)
    before = recording.read_bytes()
    code, _, err = testudo("speak", "hi", "--voice", "bob", "--out", str(recording))
    assert code == 2 and f"{reason}. Choose another file with --out" in err
    assert recording.read_bytes() == before


def test_a_generated_clip_in_a_voice_is_refused_as_a_clip_of_that_voice(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    made = tmp_path / "a.wav"
    assert testudo("speak", "hi", "--voice", "bob", "--out", str(made))[0] == 0
    clip = layout.voice("alice") / "made.wav"
    shutil.copyfile(made, clip)
    code, _, err = testudo("speak", "hi", "--voice", "bob", "--out", str(clip))
    assert code == 2 and "is a clip of a voice." in err and "not a generated" not in err


@pytest.mark.parametrize("text", ["- hello", "-5 degrees", "-hello"])
def test_a_text_may_begin_with_a_minus(testudo: Run, tmp_path: Path, text: str) -> None:
    out = str(tmp_path / "a.wav")
    code, told, err = testudo("speak", text, "--voice", "bob", "--out", out, "--json")
    assert (code, err) == (0, "") and f'"text": "{text}"' in told
    assert testudo("speak", "hi", "--prompt", text, "--voice", "bob", "--out", out)[0] == 0
    code, _, err = testudo("speak", "hi", "--voice", "bob", "-x")
    assert code == 2 and "-x" in err


def test_the_version_is_printed(testudo: Run) -> None:
    code, told, _ = testudo("--version")
    assert code == 0 and re.fullmatch(r"testudo \d+\.\d+\.\d+\n", told)


def test_a_generated_clip_may_be_overwritten(testudo: Run, tmp_path: Path) -> None:
    arguments = ("speak", "hi", "--voice", "bob", "--out", str(tmp_path / "a.wav"))
    assert testudo(*arguments)[0] == 0
    assert testudo(*arguments)[0] == 0


@pytest.mark.parametrize("command", [("clean",), ("convert", "--voice", "alice")])
def test_a_folder_is_refused_as_a_recording(
    command: tuple[str, ...], testudo: Run, layout: ProjectPaths
) -> None:
    code, _, err = testudo(*command, ".")
    assert code == 2 and ". is not a file" in err
