"""Each clip has a number of its own, however many ask at once."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from studio.schemas.speech import OutputOptions, SpeechRequest
from studio.synthesis.output_paths import (
    find_clip_path,
    get_clip_name,
    reserve_named_path,
    reserve_output_path,
)

EACH = 12


def take_numbers(root: str, text: str) -> list[str]:
    """Run in a process of its own: reserve some names and finish every other one."""
    layout, names = ProjectPaths.from_root(Path(root)), []
    for number in range(EACH):
        destination = reserve_output_path(layout, "alice", text, "wav")
        if number % 2:
            destination.clip_path.write_bytes(b"spoken")
            destination.release()
        names.append(destination.clip_path.name)
    return names


@pytest.mark.thorough
def test_processes_that_speak_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    texts = ["Good day.", "Good day.", "Another.", "Good day."]
    with ProcessPoolExecutor(len(texts), mp_context=get_context("spawn")) as pool:
        found = pool.map(take_numbers, [str(tmp_path)] * len(texts), texts)
        names = [name for some in found for name in some]
    numbers = {name[:5] for name in names}
    assert len(names) == len(numbers) == EACH * len(texts)
    assert not list((tmp_path / "results" / "alice").glob(".*"))


def test_a_claim_that_a_crash_left_is_passed_over(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    (layout.results / "alice").mkdir(parents=True)
    (layout.results / "alice" / ".00001.taken").touch()
    assert reserve_output_path(layout, "alice", "Hi", "wav").clip_path.name == "00002-hi.wav"


def test_a_name_that_nothing_was_kept_under_is_given_back(tmp_path: Path) -> None:
    destination = reserve_output_path(ProjectPaths.from_root(tmp_path), "alice", "Hi", "wav")
    assert destination.lines_folder.is_dir() and not destination.reserve()
    destination.release()
    assert not destination.lines_folder.exists()
    assert destination.reserve()
    (destination.lines_folder / "001.wav").touch()
    destination.release()
    assert destination.lines_folder.is_dir()


def test_clips_are_found_below_the_results_only(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    clip = layout.results / "alice" / "a.wav"
    clip.parent.mkdir(parents=True)
    clip.touch()
    (tmp_path / "secret.wav").touch()
    (layout.results / "link.wav").symlink_to(tmp_path / "secret.wav")
    assert find_clip_path(layout, get_clip_name(layout, clip)) == clip
    assert get_clip_name(layout, tmp_path / "secret.wav") == ""
    for name in ("../secret.wav", str(clip), "link.wav", "alice", "", "alice/b.wav", "\ud800.wav"):
        with pytest.raises(AppError, match="no clip"):
            find_clip_path(layout, name)


def test_numbers_go_on_after_99999(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    (layout.results / "alice").mkdir(parents=True)
    (layout.results / "alice" / "99999-hi.wav").touch()
    for expected in ("100000-hi.wav", "100001-hi.wav"):
        path = reserve_output_path(layout, "alice", "Hi", "wav").clip_path
        path.touch()
        assert path.name == expected


def test_a_date_in_a_file_name_is_not_a_clip_number(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    (layout.results / "alice").mkdir(parents=True)
    (layout.results / "alice" / "20240131-talk.wav").touch()
    assert reserve_output_path(layout, "alice", "Hi", "wav").clip_path.name == "00001-hi.wav"


def spoken(template: str) -> SpeechRequest:
    delivery = OutputOptions(file_name=template)
    return SpeechRequest(text="Hi there.", voice="alice", options={"seed": 7}, delivery=delivery)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("", ("00001-hi-there.wav", "00002-hi-there.wav")),
        ("{number}-{text}", ("00001-hi-there.wav", "00002-hi-there.wav")),
        ("{voice} {seed}", ("alice 7.wav", "alice 7-2.wav")),
        ("{model}_{text}", ("starter_hi-there.wav", "starter_hi-there-2.wav")),
        ("take", ("take.wav", "take-2.wav")),
    ],
)
def test_a_template_names_clips_and_no_name_is_used_twice(
    tmp_path: Path, template: str, names: tuple[str, str]
) -> None:
    layout, request = ProjectPaths.from_root(tmp_path), spoken(template)
    for name in names:
        path = reserve_named_path(layout, "alice", request)
        assert path.clip_path.name == name and path.clip_path.parent.name == "alice"
        path.clip_path.write_bytes(b"sound")
        path.release()


def test_a_template_has_the_day_and_the_time(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    name = reserve_named_path(layout, "alice", spoken("{date} {time}")).clip_path.stem
    assert datetime.strptime(name, "%Y-%m-%d %H%M%S") <= datetime.now()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{nummer}", r"no placeholder \{nummer\}. Did you mean '\{number\}'"),
        ("{}", r"no placeholder \{\}"),
        ("{text.__class__}", "no placeholder"),
        ("{text!r}", "no placeholder"),
        ("{number:09d}", "no placeholder"),
        ("{text", "a brace is not closed"),
        ("../{text}", "without"),
        ("a/{text}", "without"),
        ("a\\{text}", "without"),
        ("a\n{text}", "without"),
        ("x" * 61, "at most 60"),
    ],
)
def test_a_template_that_names_no_file_is_refused(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        OutputOptions(file_name=template)
