"""Voices: what is listed, what a name may be, blends, and latents cached while nothing changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import AppError
from core.paths import ProjectPaths, validate_name
from studio.voices.catalog import (
    BlendComponent,
    combine_consents,
    find_voice,
    format_blend,
    get_results_folder_name,
    list_voices,
    parse_blend,
    resolve_random_seed,
)
from studio.voices.consent import ConsentNote, write_consent
from studio.voices.trash import get_new_voice_folder
from support.fake_engine import FakeEngine

Run = Callable[..., tuple[int, str, str]]


def names(layout: ProjectPaths) -> list[str]:
    return [voice.name for voice in list_voices(layout)]


def test_folders_with_clips_are_voices(layout: ProjectPaths, tmp_path: Path) -> None:
    (layout.voices / "empty").mkdir()
    (layout.voices / ".hidden").mkdir()
    (layout.voices / "note.txt").write_text("no voice")
    assert names(layout) == ["alice", "bob"]


def test_a_linked_folder_is_a_voice(layout: ProjectPaths, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "one.wav").write_bytes((layout.voices / "alice" / "one.wav").read_bytes())
    (layout.voices / "1688").symlink_to(elsewhere)
    assert names(layout) == ["1688", "alice", "bob"]


def test_only_sound_that_is_not_hidden_counts_as_a_clip(layout: ProjectPaths) -> None:
    folder = layout.voices / "alice"
    (folder / ".one.part.wav").write_bytes(b"")
    (folder / "notes.txt").write_text("")
    (folder / "LOUD.WAV").write_bytes(b"")
    assert [clip.name for clip in find_voice(layout, "alice").clips] == [
        "LOUD.WAV",
        "one.wav",
        "two.wav",
    ]


@pytest.mark.parametrize("name", ["alice", "Zoë", "猫", "a b", "x-1_2", "1688", "a.b"])
def test_plain_names_are_allowed(name: str) -> None:
    assert validate_name(name, "voice") == name


BAD_NAMES = ["", ".", "..", "a/b", "a\\b", "/a", "C:x", "~a", "-a", " a", "a ", "a.", "a\0", "CON"]
BAD_NAMES += ["nul.x", "x" * 101, "a\n", "a*", "a|b"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_paths_and_tricks_are_refused(name: str) -> None:
    with pytest.raises(AppError, match="is not a valid voice name"):
        validate_name(name, "voice")


def test_a_blend_names_voices_and_weights() -> None:
    assert parse_blend("alice:0.7 + bob:0.3") == (
        BlendComponent(voice="alice", weight=0.7),
        BlendComponent(voice="bob", weight=0.3),
    )
    assert parse_blend("alice") == (BlendComponent(voice="alice"),)
    assert parse_blend("random#12:2")[0] == BlendComponent(voice="random", weight=2.0, seed=12)
    assert get_results_folder_name("alice:0.7+random#5:0.3") == "alice-and-random"


def test_the_random_voice_is_pinned_to_its_seed() -> None:
    assert resolve_random_seed("random", 7) == "random#7"
    assert resolve_random_seed("alice:0.7+random:0.3", 7) == "alice:0.7+random#7:0.3"
    assert resolve_random_seed("random#1", 7) == "random#1"
    assert resolve_random_seed("randomly+my-random", 7) == "randomly+my-random"


def speak(testudo: Run, tmp_path: Path, *flags: str, voice: str = "alice") -> torch.Tensor:
    out = tmp_path / "out.wav"
    code, _, err = testudo(
        *("speak", "Good evening.", "--voice", voice, "--out", str(out), "--seed", "1", *flags)
    )
    assert code == 0, err
    return read_clip(out).wave


def test_a_voice_is_listened_to_once(testudo: Run, layout: ProjectPaths, tmp_path: Path) -> None:
    first = speak(testudo, tmp_path)
    assert torch.equal(first, speak(testudo, tmp_path))
    assert FakeEngine.listened == [["one.wav", "two.wav"]]
    assert len(list((layout.voices / "alice" / ".cache").glob("tortoise-*.safetensors"))) == 1


def change_a_clip(layout: ProjectPaths) -> None:
    write_clip(
        layout.voices / "alice" / "two.wav",
        Clip(wave=0.9 * torch.sin(torch.arange(24_000) * 0.1), sample_rate=24_000),
    )


CHANGES: dict[str, Callable[[ProjectPaths], object]] = {
    "a clip changed": change_a_clip,
    "a clip gone": lambda layout: (layout.voices / "alice" / "two.wav").unlink(),
    "a clip more": lambda layout: (layout.voices / "alice" / "3.wav").write_bytes(
        (layout.voices / "bob" / "one.wav").read_bytes()
    ),
    "other weights": lambda layout: (layout.models / "starter" / "weights").write_bytes(b"new"),
    "a damaged cache": lambda layout: [
        path.write_bytes(b"broken") for path in (layout.voices / "alice" / ".cache").iterdir()
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_voice_is_listened_to_again_after(
    change: str, testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    speak(testudo, tmp_path)
    CHANGES[change](layout)
    speak(testudo, tmp_path)
    assert len(FakeEngine.listened) == 2
    speak(testudo, tmp_path)
    assert len(FakeEngine.listened) == 2


def test_knobs_of_listening_are_part_of_the_key_and_others_are_not(
    testudo: Run, tmp_path: Path
) -> None:
    speak(testudo, tmp_path)
    speak(testudo, tmp_path, "--temperature", "0.3")
    assert len(FakeEngine.listened) == 1
    speak(testudo, tmp_path, "--crop", "first")
    assert len(FakeEngine.listened) == 2


def test_a_voice_that_cannot_be_written_to_is_cached_elsewhere(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    (layout.voices / "alice" / ".cache").write_text("a file is in the way")
    speak(testudo, tmp_path)
    speak(testudo, tmp_path)
    assert len(FakeEngine.listened) == 1
    assert len(list((layout.state / "voices" / "alice").iterdir())) == 1


def test_a_read_only_voice_stays_as_it_is(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    folder = layout.voices / "alice"
    folder.chmod(0o555)
    speak(testudo, tmp_path)
    speak(testudo, tmp_path)
    folder.chmod(0o755)
    assert len(FakeEngine.listened) == 1
    assert not (folder / ".cache").exists()


def test_a_blend_lies_between_its_voices(testudo: Run, tmp_path: Path) -> None:
    alice = speak(testudo, tmp_path, voice="alice")
    assert torch.equal(alice, speak(testudo, tmp_path, voice="alice:1+bob:0"))
    both = speak(testudo, tmp_path, voice="alice+bob")
    assert not torch.equal(both, alice)
    assert torch.equal(both, speak(testudo, tmp_path, voice="alice:3+bob:3"))


def test_a_random_voice_can_be_kept(testudo: Run, layout: ProjectPaths, tmp_path: Path) -> None:
    made_up = speak(testudo, tmp_path, voice="random#42")
    code, told, _ = testudo("voices", "keep-random", "carol", "--seed", "42", "--json")
    assert code == 0 and json.loads(told)["kept"] is True
    assert torch.equal(made_up, speak(testudo, tmp_path, voice="carol"))
    assert names(layout) == ["alice", "bob", "carol"]
    code, _, err = testudo("voices", "keep-random", "carol")
    assert code == 2 and "already a voice" in err
    (layout.models / "starter" / "weights").write_bytes(b"other numbers")
    code, _, err = testudo("speak", "hi", "--voice", "carol")
    assert code == 2 and "has no clips, only latents" in err


def test_a_blend_is_kept_as_a_voice_that_speaks_as_the_blend(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    blended = speak(testudo, tmp_path, voice="alice:0.7+bob:0.3")
    code, told, err = testudo("voices", "keep-blend", "carol", "alice:0.7+bob:0.3", "--json")
    assert code == 0 and json.loads(told)["kept"] is True, err
    assert torch.equal(blended, speak(testudo, tmp_path, voice="carol"))
    note = find_voice(layout, "carol").consent
    assert note is not None and (note.basis, note.note) == ("synthetic", "alice:0.7+bob:0.3")
    for name, blend, told in (
        ("carol", "alice+bob", "already a voice"),
        ("dora", "alice", "is one voice"),
        ("dora", "alice+nobody", "no voice 'nobody'"),
    ):
        code, _, err = testudo("voices", "keep-blend", name, blend)
        assert code == 2 and told in err
    assert names(layout) == ["alice", "bob", "carol"]


def test_a_blend_may_be_used_as_its_most_restricted_voice(layout: ProjectPaths) -> None:
    write_consent(
        layout.voices / "bob", ConsentNote(basis="licensed", speaker="Bob", stated_on="2026-01-31")
    )
    note = combine_consents(layout, "alice:0.5+bob:0.5")
    assert note is not None and (note.basis, note.speaker) == ("licensed", "alice, Bob")
    mixed = combine_consents(layout, "alice:0.5+random#3:0.5")
    assert mixed is not None and mixed.basis == "synthetic"
    (layout.voices / "bob" / "consent.yaml").unlink()
    assert combine_consents(layout, "alice:0.5+bob:0.5") is None


def test_sliders_make_the_text_of_a_blend() -> None:
    assert format_blend([("alice", 0.7), ("", 0.5), ("bob", 0.30000001)]) == "alice:0.7+bob:0.3"
    with pytest.raises(AppError, match="at least two voices"):
        format_blend([("alice", 1.0), ("bob", 0.0)])
    with pytest.raises(AppError, match="a voice twice"):
        format_blend([("alice", 1.0), ("alice", 0.5)])


def test_clips_are_imported_as_they_are(testudo: Run, layout: ProjectPaths, tmp_path: Path) -> None:
    source = layout.voices / "bob" / "one.wav"
    code, told, _ = testudo("voices", "import", "carol", str(source))
    assert code == 0 and "1 clip" in told
    assert (layout.voices / "carol" / "one.wav").read_bytes() == source.read_bytes()
    code, _, err = testudo("voices", "import", "carol", str(source))
    assert code == 2 and "two clips named one.wav" in err


def test_nothing_is_imported_when_one_clip_is_bad(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    good = layout.voices / "bob" / "one.wav"
    code, _, err = testudo("voices", "import", "carol", str(good), str(tmp_path / "bad.wav"))
    assert code == 2 and "bad.wav" in err
    assert not (layout.voices / "carol").exists()


def test_a_voice_travels_inside_a_clip_only_when_asked(
    testudo: Run, layout: ProjectPaths, tmp_path: Path
) -> None:
    said = speak(testudo, tmp_path, "--embed-latents")
    code, _, err = testudo("voices", "import", "carol", str(tmp_path / "out.wav"))
    assert code == 0, err
    assert torch.equal(said, speak(testudo, tmp_path, voice="carol"))
    assert json.loads(testudo("read", str(tmp_path / "out.wav"), "--json")[1])["latents"] is None


def test_voices_are_listed_for_people_and_programs(testudo: Run) -> None:
    assert testudo("voices")[1].splitlines() == [
        "alice  2 clips, no person's voice, 2026-01-31",
        "bob    2 clips, no person's voice, 2026-01-31",
    ]
    listed = json.loads(testudo("voices", "--json")[1])
    assert [(voice["name"], voice["clips"]) for voice in listed] == [("alice", 2), ("bob", 2)]


COMPOSED, DECOMPOSED = "Zo\u00eb", "Zoe\u0308"


@pytest.mark.parametrize("there", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("asked", [COMPOSED, DECOMPOSED])
def test_composed_and_decomposed_accents_name_one_voice(
    there: str, asked: str, layout: ProjectPaths
) -> None:
    (layout.voices / "bob").rename(layout.voices / there)
    assert names(layout) == [COMPOSED, "alice"] or names(layout) == ["alice", COMPOSED]
    assert find_voice(layout, asked).clips
    with pytest.raises(AppError, match="already a voice"):
        get_new_voice_folder(layout, asked)


def test_folders_of_both_forms_are_one_voice(layout: ProjectPaths) -> None:
    (layout.voices / "bob").rename(layout.voices / COMPOSED)
    count = len(find_voice(layout, COMPOSED).clips)
    (layout.voices / "alice").rename(layout.voices / DECOMPOSED)
    assert names(layout) == [COMPOSED]
    assert len(find_voice(layout, DECOMPOSED).clips) == count + 2


def test_videos_and_voice_memos_are_clips(layout: ProjectPaths) -> None:
    suffixes = "mp4 webm mov caf m4a aiff 3gp amr qta".split()  # noqa: SIM905
    for suffix in suffixes:
        (layout.voices / "bob" / f"memo.{suffix.upper()}").write_bytes(b"")
    found = {clip.suffix for clip in find_voice(layout, "bob").clips}
    assert {f".{suffix.upper()}" for suffix in suffixes} <= found
