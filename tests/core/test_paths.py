"""Where things lie: the root, names that stay inside it, numbers of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import (
    ADDRESS_WORDS,
    MAX_NAME_BYTES,
    ProjectPaths,
    find_root,
    find_same_name,
    parse_path,
    shorten_name,
    slugify,
    validate_name,
)
from studio.schemas.settings import Settings, apply_folders
from studio.synthesis.output_paths import get_next_output_path, parse_output_path


def test_the_root_is_the_one_that_was_named(tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "src" / "studio" / "layout.py"
    named = {"TESTUDO_ROOT": str(tmp_path)}
    assert find_root(named, source, Path("/nowhere")) == tmp_path.resolve()


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="which is not a folder"):
        find_root({"TESTUDO_ROOT": str(tmp_path / "gone")}, tmp_path, tmp_path)


def test_the_root_is_the_checkout_or_else_where_we_are(tmp_path: Path) -> None:
    checkout, here = tmp_path / "checkout", tmp_path / "here"
    source = checkout / "src" / "studio" / "layout.py"
    source.parent.mkdir(parents=True)
    here.mkdir()
    assert find_root({}, source, here) == here.resolve()
    (checkout / "pyproject.toml").write_text("")
    assert find_root({}, source, here) == checkout.resolve()


def test_bundles_are_names_and_finetunes_lie_in_their_own_folder(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    assert layout.model("starter") == tmp_path / "models" / "starter"
    assert layout.model("finetunes/alice") == tmp_path / "models" / "finetunes" / "alice"
    for name in ("../starter", "finetunes/../x", "other/alice", "/etc", "finetunes/"):
        with pytest.raises(AppError, match="is not a valid"):
            layout.model(name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, word) for kind, words in ADDRESS_WORDS.items() for word in sorted(words)],
)
def test_a_word_of_the_addresses_of_the_api_is_no_name(kind: str, name: str) -> None:
    for spelled in (name, name.upper()):
        with pytest.raises(AppError, match=f"cannot be the name of a {kind}"):
            validate_name(spelled, kind)
    assert validate_name(f"{name}s", kind) and validate_name(name, "clip")


def test_the_settings_move_folders(tmp_path: Path) -> None:
    moved = apply_folders(
        ProjectPaths.from_root(tmp_path), Settings(voices="/elsewhere", results="said")
    )
    assert moved.voices == Path("/elsewhere")
    assert moved.results == tmp_path / "said"
    assert moved.models == tmp_path / "models"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Good evening, and welcome.", "good-evening-and-welcome"),
        ("../../etc/passwd", "etc-passwd"),
        ("Süß & 猫", "süß-猫"),
        ("...", "speech"),
        ("word " * 100, "-".join(["word"] * 8)),
    ],
)
def test_file_names_are_made_of_the_first_words(text: str, name: str) -> None:
    assert slugify(text) == name


def test_results_are_numbered_after_the_last(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    folder = layout.results / "alice"
    folder.mkdir(parents=True)
    for name in ("00007-old.wav", "00009-gone.lines", "notes.txt"):
        (folder / name).write_text("")
    assert (
        get_next_output_path(layout, "alice", "Hi!", "flac").clip_path == folder / "00010-hi.flac"
    )


def test_candidates_and_lines_are_named_after_the_whole() -> None:
    destination = parse_output_path("said/hello.wav")
    assert destination.candidate_path(1) == Path("said/hello.wav")
    assert destination.candidate_path(3) == Path("said/hello.candidate-3.wav")
    assert destination.take_path(0) == Path("said/hello.lines/001.wav")
    assert destination.take_path(11, 2) == Path("said/hello.lines/012.candidate-2.wav")


@pytest.mark.parametrize(
    ("pasted", "path"),
    [
        ('"/data/my clips/a.wav"', "/data/my clips/a.wav"),
        ("'/data/a.wav' ", "/data/a.wav"),
        ("“/data/a.wav”", "/data/a.wav"),
        ("\u202a/data/a.wav\u202c", "/data/a.wav"),
        ('\u202a"C:\\Users\\me\\a.wav"', "C:\\Users\\me\\a.wav"),
        ("file:///data/my%20clips/a.wav", "/data/my clips/a.wav"),
        ("file://localhost/data/a.wav", "/data/a.wav"),
        ("file:/data/a.wav", "/data/a.wav"),
        ("file:///C:/Users/me/a%C3%A9.wav", "C:/Users/me/aé.wav"),
        ("'file:///data/a.wav'\n", "/data/a.wav"),
        ("data/it's.wav", "data/it's.wav"),
        ("\ufeff/data/a.wav", "/data/a.wav"),
        ("/data/100%.wav", "/data/100%.wav"),
    ],
)
def test_a_pasted_path_is_the_path_that_was_meant(pasted: str, path: str) -> None:
    assert parse_path(pasted) == Path(path)


def test_a_path_of_a_terminal_or_a_mac_is_found(tmp_path: Path) -> None:
    file = tmp_path / "Zoe\u0308 (1).wav"
    file.write_bytes(b"")
    assert parse_path(f"{tmp_path}/Zo\u00eb (1).wav") == file
    assert parse_path(f"{tmp_path}/Zo\u00eb\\ \\(1\\).wav") == file
    assert parse_path("~/a.wav") == Path.home() / "a.wav"


@pytest.mark.parametrize(
    "name",
    [
        "猫" * 67,
        "🎤" * 51,
        "anna\u200b",
        "\u200banna",
        "anna\u202egnp",
        "\u2066anna",
        "an\u00adna",
        "\u2800",
        "\u3164",
        "\ufeffanna",
        "a\u200db",
        "\u200d\u200d\u200d",
        "anna\u2028",
        "\u0301anna",
        "\ue000",
        "an\u061cna",
        "\U000e0041anna",
    ],
)
def test_a_name_that_is_too_long_for_a_disk_or_cannot_be_seen_is_refused(name: str) -> None:
    with pytest.raises(AppError, match="is not a valid voice name"):
        validate_name(name, "voice")


@pytest.mark.parametrize(
    "name",
    [
        "猫" * 66,
        "Zoë",
        "Zoe\u0308",
        "نازنین",
        "דנה",
        "می\u200cخواهم",
        "👩\u200d💻",
        "a b",
        "Screen 3.04.05\u202fPM",
    ],
)
def test_names_of_every_script_are_taken(name: str) -> None:
    assert validate_name(name, "voice") == name


@pytest.mark.parametrize("name", ["猫" * 90, "a" * 150, "🎤" * 100, "anna"])
def test_a_shortened_name_is_valid(name: str) -> None:
    short = shorten_name(name)
    assert validate_name(short, "voice") and len(short.encode()) <= MAX_NAME_BYTES
    assert short == name or short.endswith("…")


@pytest.mark.parametrize(
    ("there", "asked"),
    [("Alice", "alice"), ("alice", "ALICE"), ("Zo\u00eb", "ZOE\u0308"), ("stra\u00dfe", "STRASSE")],
)
def test_names_that_some_disks_take_for_one_are_one(tmp_path: Path, there: str, asked: str) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    for folder in (layout.voices, layout.results, layout.training, layout.models):
        (folder / there).mkdir(parents=True)
    assert layout.voice(asked).name == layout.voice_results(asked).name == there
    assert layout.dataset(asked).name == layout.model(asked).name == there
    assert layout.run(asked, "new").parts[-3:] == (there, "runs", "new")
    (layout.voices / asked).mkdir(exist_ok=True)
    assert find_same_name(layout.voices, asked).name in (asked, there)
