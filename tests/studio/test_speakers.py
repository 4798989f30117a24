"""The voices of the speakers of scripts: kept, chosen by name, stated, recorded with the clip."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.preview import PreviewRequest, preview
from studio.voices.speakers import (
    find_script_speakers,
    read_speakers,
    restore_speakers,
    write_speakers,
)
from support.fake_engine import FakeEngine

Run = Callable[..., tuple[int, str, str]]
SCRIPT = "Anna: Good evening.\nBob: Hello. How are you?\nAnna: Fine."


def test_voices_of_speakers_are_kept_for_the_next_script(layout: ProjectPaths) -> None:
    assert find_script_speakers(layout, SCRIPT) == {"Anna": "", "Bob": "bob"}  # a voice's own name
    write_speakers(layout, {"Anna": "alice"})
    write_speakers(layout, {"BOB": ""})
    assert find_script_speakers(layout, SCRIPT) == {"Anna": "alice", "Bob": ""}
    write_speakers(layout, {"anna": "alice:0.7+bob:0.3"})
    assert read_speakers(layout) == {"BOB": "", "anna": "alice:0.7+bob:0.3"}
    with pytest.raises(AppError, match="no voice 'nobody'"):
        write_speakers(layout, {"Anna": "nobody"})


def test_a_damaged_file_is_said(layout: ProjectPaths) -> None:
    layout.speakers.parent.mkdir(parents=True, exist_ok=True)
    for content in ("- a\n", "a: [\n"):
        layout.speakers.write_text(content)
        with pytest.raises(AppError, match=r"speakers\.yaml"):
            read_speakers(layout)
    found = preview(PreviewRequest(text=SCRIPT, voice="bob"), layout)
    assert any("speakers.yaml" in problem for problem in found.problems)


def test_a_script_is_spoken_by_its_speakers_and_reproduced(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    out, again = tmp_path / "a.wav", tmp_path / "b.wav"
    code, told, err = testudo(
        *("speak", SCRIPT, "--voice", "bob", "--out", str(out), "--speaker", "Anna=alice", "--json")
    )
    assert code == 0, err
    assert FakeEngine.heard == ["Good evening.", "Hello. How are you?", "Fine."]
    lines = [read_metadata(Path(line["path"])).voice for line in json.loads(told)["lines"]]
    assert lines == ["alice", "bob", "alice"]
    record = read_metadata(out)
    assert record.text == SCRIPT
    assert dict(record.speaker_voices) == {"Anna": "alice", "Bob": "bob"}
    assert testudo("speak", "--like", str(out), "--out", str(again))[0] == 0
    assert out.read_bytes()[-1000:] == again.read_bytes()[-1000:]
    restore_speakers(layout, {**record.speaker_voices, "Carl": "gone"})
    assert read_speakers(layout) == {"Anna": "alice", "Bob": "bob"}


def test_the_preview_shows_the_lines_of_the_real_run(layout: ProjectPaths) -> None:
    write_speakers(layout, {"Anna": "alice"})
    found = preview(PreviewRequest(text=SCRIPT, voice="bob"), layout)
    assert [(piece.text, piece.voice) for piece in found.pieces] == [
        ("Good evening.", "alice"),
        ("Hello. How are you?", "bob"),
        ("Fine.", "alice"),
    ]


def test_a_wrong_speaker_is_refused(testudo: Run, tmp_path: Path) -> None:
    for flag, told in (("Anna", "write NAME=VOICE"), ("Anna=nobody", "no voice 'nobody'")):
        code, _, err = testudo(
            *("speak", SCRIPT, "--voice", "bob", "--out", str(tmp_path / "a.wav")),
            *("--speaker", flag),
        )
        assert code == 2 and told in err
