"""testudo synthesizer and vocoder: the way from recordings to a training, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cli.main import main

SIZES = (
    'network={"embed_dims":8,"encoder_dims":8,"decoder_dims":8,"postnet_dims":8,"encoder_K":2,'
    '"lstm_dims":8,"postnet_K":2,"num_highways":1}'
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Recordings in LibriTTS' layout; one has no text, one is too short."""
    folder = tmp_path / "speech" / "LibriTTS" / "dev" / "19" / "198"
    folder.mkdir(parents=True)
    for number, seconds in enumerate((2.0, 2.5, 2.2, 0.4)):
        time = np.arange(int(16_000 * seconds)) / 16_000
        wave = 0.4 * np.sin(2 * np.pi * 160 * time)
        soundfile.write(folder / f"19_198_{number}.wav", wave, 16_000)
        if number != 2:
            (folder / f"19_198_{number}.normalized.txt").write_text(f"Line {number}.", "utf-8")
    return tmp_path / "speech"


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:  # type: ignore[type-arg]
    assert main([*arguments, "--json"]) == 0
    read: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]
    return read


def test_preprocessing_says_why_recordings_are_left_out(
    root: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("synthesizer", "preprocess", str(recordings), "--name", "small", "--no_trim")
    made = run_json(capsys, *arguments)
    assert made["utterances"] == 2
    reasons = {Path(path).stem: reason for path, reason in made["left_out"].items()}
    assert "no text" in reasons["19_198_2"] and "0.4 s of speech" in reasons["19_198_3"]
    folder = Path(made["folder"])
    before = (folder / "mels" / "mel-19_198_0.npy").stat().st_mtime_ns
    run_json(capsys, *arguments, "--skip_existing")
    assert (folder / "mels" / "mel-19_198_0.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthesizer", "train", "a", "nothing"], "There is no synthesizer dataset 'nothing'"),
        (["synthesizer", "preprocess", "nowhere"], "There is no folder nowhere"),
        (["synthesizer", "preprocess", ".", "--layout", "timit"], "layout is 'timit'"),
        (["synthesizer", "embeds", "nothing"], "There is no synthesizer dataset"),
        (["synthesizer", "train", "a", "b", "--hparams", "steps"], "not a list of options"),
        (
            ["vocoder", "train", "a", "b", "--hparams", "nonsense=1"],
            "There is no option 'nonsense'",
        ),
        (["vocoder", "stop", "a"], "There is no training run 'a'"),
        (["vocoder", "watch", "../a"], "There is no training run"),
    ],
)
def test_refusals(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_training_runs_apart_and_is_listed(
    root: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_json(capsys, "synthesizer", "preprocess", str(recordings), "--name", "small", "--no_trim")
    embeds = root / "training" / "sv2tts" / "datasets" / "small" / "embeds"
    for number in (0, 1):
        np.save(embeds / f"embed-19_198_{number}.npy", np.ones(256, np.float32))
    schedule = "tts_schedule=[(8,1e-3,2,2)],eval_every=0," + SIZES
    assert main(["synthesizer", "train", "one", "small", "--hparams", schedule, "--follow"]) == 0
    assert "step 2 of 2" in capsys.readouterr().out
    assert main(["synthesizer", "runs"]) == 0
    assert "one" in capsys.readouterr().out
    assert main(["vocoder", "runs"]) == 0
    assert "no trainings yet" in capsys.readouterr().out
    assert main(["vocoder", "train", "one", "small", "--ground_truth"]) == 2
    assert "a run of another kind" in capsys.readouterr().err
    made = run_json(capsys, "vocoder", "preprocess", "small", "--synthesizer", "one")
    assert made["utterances"] == 2
    stored = np.load(Path(made["folder"]) / "mels_gta" / "mel-19_198_0.npy")
    assert stored.shape == np.load(Path(made["folder"]) / "mels" / "mel-19_198_0.npy").shape
