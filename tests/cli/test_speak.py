"""testudo speak, as a newcomer uses it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from audio.io import read_clip
from core.paths import ProjectPaths
from support.fake_engine import FakeEngine

Run = Callable[..., tuple[int, str, str]]


def test_a_text_in_a_voice_becomes_the_named_file(testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    code, told, err = testudo("speak", "Good evening.", "--voice", "alice", "--out", str(out))
    assert (code, err) == (0, "")
    assert str(out) in told and "seed" in told and re.search(r"memory [\d.,]+ [MG]B at most", told)
    assert 0.1 < read_clip(out).duration_s < 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["hello.wav"]


def test_json_tells_path_seed_seconds_stages_and_candidates(testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    code, told, _ = testudo(
        *("speak", "Good evening, and welcome.", "--voice", "alice", "--out", str(out), "--json"),
        *("--candidates", "3", "--seed", "7"),
    )
    answer = json.loads(told)
    assert code == 0
    assert answer["path"] == str(out) and answer["seed"] == 7
    assert 0.7 < answer["seconds"] < 0.9 and "draft" in answer["stages"]
    assert 50_000_000 < answer["peak_bytes"] < 64_000_000_000
    scores = [candidate["score"] for candidate in answer["candidates"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert all(Path(candidate["path"]).is_file() for candidate in answer["candidates"])


def test_without_out_the_clip_is_numbered_under_the_voice(
    testudo: Run, layout: ProjectPaths
) -> None:
    for _ in range(2):
        assert testudo("speak", "Good evening.", "--voice", "alice")[0] == 0
    names = sorted(path.name for path in (layout.results / "alice").iterdir())
    assert names == ["00001-good-evening.wav", "00002-good-evening.wav"]


def test_the_same_seed_says_the_same_and_no_seed_something_new(
    testudo: Run, tmp_path: Path
) -> None:
    def wave(name: str, *flags: str) -> torch.Tensor:
        out = tmp_path / name
        assert testudo("speak", "Good day.", "--voice", "bob", "--out", str(out), *flags)[0] == 0
        return read_clip(out).wave

    first, again = wave("a.wav", "--seed", "1"), wave("b.wav", "--seed", "1")
    assert torch.equal(first, again)
    assert not torch.equal(first, wave("c.wav"))
    assert not torch.equal(wave("d.wav"), wave("e.wav"))


def test_a_clip_is_reproduced_bit_for_bit(testudo: Run, tmp_path: Path) -> None:
    first, again = tmp_path / "a.wav", tmp_path / "b.flac"
    testudo("speak", "One. Two.", "--voice", "alice:0.7+random:0.3", "--out", str(first),
            "--temperature", "0.5", "--volume", "0.8", "--piece-chars", "20")  # fmt: skip
    code, _, err = testudo("speak", "--like", str(first), "--out", str(again))
    assert (code, err) == (0, "")
    assert torch.equal(read_clip(first).wave, read_clip(again).wave)


def test_a_candidate_that_was_not_the_best_is_reproduced_too(testudo: Run, tmp_path: Path) -> None:
    out, again = tmp_path / "a.wav", tmp_path / "b.wav"
    testudo("speak", "Good day.", "--voice", "alice", "--out", str(out), "--candidates", "3")
    second = tmp_path / "a.candidate-2.wav"
    assert testudo("speak", "--like", str(second), "--out", str(again))[0] == 0
    assert torch.equal(read_clip(second).wave, read_clip(again).wave)
    assert not (tmp_path / "b.candidate-2.wav").exists()


def test_like_with_another_seed_differs(testudo: Run, tmp_path: Path) -> None:
    first, again = tmp_path / "a.wav", tmp_path / "b.wav"
    testudo("speak", "One. Two.", "--voice", "alice", "--out", str(first))
    assert testudo("speak", "--like", str(first), "--seed", "5", "--out", str(again))[0] == 0
    assert not torch.equal(read_clip(first).wave, read_clip(again).wave)


LONG = (
    "This sentence is the first of the three. This sentence is the second of the three. "
    "And this one is the third of the three."
)


def test_takes_of_a_long_text_lie_beside_the_whole(testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "long.wav"
    code, told, _ = testudo("speak", LONG, "--voice", "alice", "--out", str(out), "--json",
                            "--piece-chars", "40", "--candidates", "2",
                            "--pause-s", "0.5")  # fmt: skip
    takes = sorted(path.name for path in (tmp_path / "long.lines").iterdir())
    pieces = len(FakeEngine.heard)
    assert code == 0 and pieces == 3
    assert takes == sorted(
        [f"{n:03d}{end}" for n in range(1, 4) for end in (".wav", ".candidate-2.wav")]
        + ["lines.json"]
    )
    seconds = sum(read_clip(Path(take["path"])).duration_s for take in json.loads(told)["lines"])
    assert abs(read_clip(out).duration_s - (seconds + 2 * 0.5)) < 0.01


def test_a_line_take_can_be_reproduced_by_itself(testudo: Run, tmp_path: Path) -> None:
    out, again = tmp_path / "long.wav", tmp_path / "again.wav"
    testudo("speak", LONG, "--voice", "random", "--out", str(out), "--piece-chars", "40",
            "--emotion", "sad")  # fmt: skip
    take = tmp_path / "long.lines" / "002.wav"
    assert testudo("speak", "--like", str(take), "--out", str(again))[0] == 0
    assert torch.equal(read_clip(take).wave, read_clip(again).wave)


def test_a_line_can_have_a_voice_of_its_own(testudo: Run, tmp_path: Path) -> None:
    text = 'Good day.\n{"voice": "bob", "temperature": 0.3} And to you.'
    code, told, _ = testudo(
        "speak", text, "--voice", "alice", "--out", str(tmp_path / "a.wav"), "--json"
    )
    assert code == 0 and FakeEngine.heard == ["Good day.", "And to you."]
    assert sorted(map(len, FakeEngine.listened)) == [2, 2]
    second = json.loads(testudo("read", json.loads(told)["lines"][1]["path"], "--json")[1])
    assert second["voice"] == "bob" and second["options"]["temperature"] == 0.3


def test_steering_words_are_spoken_but_not_heard(testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "sad.wav"
    code, _, err = testudo(
        *("speak", "Please feed me.", "--voice", "alice", "--emotion", "sad", "--out", str(out))
    )
    assert (code, err) == (0, "")
    assert FakeEngine.heard == ["I am really sad, Please feed me."]
    assert abs(read_clip(out).duration_s - 0.6) < 0.15


def test_steering_words_that_cannot_be_found_stay_and_are_reported(
    testudo: Run, tmp_path: Path
) -> None:
    out = tmp_path / "sad.wav"
    code, _, err = testudo(
        *("speak", "Please feed me.", "--voice", "alice", "--prompt", "mumble", "--out", str(out))
    )
    assert code == 0 and "could not be found" in err
    assert abs(read_clip(out).duration_s - 0.8) < 0.01
    record = json.loads(testudo("read", str(out), "--json")[1])
    assert "could not be found" in record["warnings"][0]


def test_without_mutagen_the_settings_lie_beside_and_still_serve(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = tmp_path / "a.wav", tmp_path / "b.wav"
    monkeypatch.setattr("studio.synthesis.audio_metadata.find_spec", lambda name: None)
    assert testudo("speak", "Good day.", "--voice", "alice", "--out", str(first))[0] == 0
    assert (tmp_path / "a.wav.json").is_file()
    assert testudo("speak", "--like", str(first), "--out", str(again))[0] == 0
    assert torch.equal(read_clip(first).wave, read_clip(again).wave)


def test_settings_can_be_left_out_or_laid_beside(testudo: Run, tmp_path: Path) -> None:
    bare, both = tmp_path / "bare.wav", tmp_path / "both.wav"
    testudo("speak", "Hi you.", "--voice", "alice", "--out", str(bare), "--no-embed")
    testudo("speak", "Hi you.", "--voice", "alice", "--out", str(both), "--sidecar")
    assert testudo("read", str(bare))[0] == 2
    assert testudo("read", str(both))[0] == 0
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["both.wav.json"]


def test_saying_it_again_tells_what_has_changed(
    testudo: Run, tmp_path: Path, layout: ProjectPaths
) -> None:
    out = tmp_path / "a.wav"
    testudo("speak", "Hi you.", "--voice", "alice", "--out", str(out))
    (layout.voices / "alice" / "two.wav").unlink()
    code, _, err = testudo("speak", "--like", str(out), "--out", str(tmp_path / "b.wav"))
    assert code == 0 and "the clips of 'alice' have changed" in err
    (layout.models / "starter" / "weights").write_bytes(b"other numbers")
    code, _, err = testudo("speak", "--like", str(out), "--out", str(tmp_path / "b.wav"))
    assert code == 0 and "its weights were" in err


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_every_format_is_written_by_its_suffix(testudo: Run, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"a{suffix}"
    code, _, err = testudo(
        *("speak", "Good day.", "--voice", "alice", "--out", str(out), "--output-rate", "48000")
    )
    assert (code, err) == (0, "")
    assert read_clip(out).sample_rate == 48_000
    assert testudo("read", str(out))[0] == 0


def test_text_is_read_from_standard_input(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("From the pipe.\n"))
    out = str(tmp_path / "a.wav")
    assert testudo("speak", "-", "--voice", "alice", "--out", out)[0] == 0
    assert FakeEngine.heard == ["From the pipe."]


def test_without_a_command_the_program_says_what_it_can_do(testudo: Run) -> None:
    code, told, _ = testudo()
    assert code == 0 and "synthesize speech" in told


def test_subtitles_are_spoken_in_their_times(testudo: Run, tmp_path: Path) -> None:
    film, out = tmp_path / "film.srt", tmp_path / "film.wav"
    film.write_text("1\n00:00:01,000 --> 00:00:01,500\nOne two.\n", encoding="utf-8")
    code, _, err = testudo("speak", "--subtitles", str(film), "--voice", "alice", "--out", str(out))
    assert code == 0, err
    assert read_clip(out).duration_s == pytest.approx(1.5, abs=1e-4)
    code, _, err = testudo("speak", "Hello.", "--subtitles", str(film), "--voice", "alice")
    assert code == 2 and "--subtitles cannot be combined with a text" in err
