"""Each clip has a number of its own, however many ask at once."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.layout import Layout
from studio.results import clip_name, existing_clip, reserved_destination

EACH = 12


def take_numbers(root: str, text: str) -> list[str]:
    """Run in a process of its own: reserve some names and finish every other one."""
    layout, names = Layout.at(Path(root)), []
    for number in range(EACH):
        destination = reserved_destination(layout, "alice", text, "wav")
        if number % 2:
            destination.final.write_bytes(b"spoken")
            destination.release()
        names.append(destination.final.name)
    return names


def test_processes_that_speak_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    texts = ["Good day.", "Good day.", "Another.", "Good day."]
    with ProcessPoolExecutor(len(texts), mp_context=get_context("spawn")) as pool:
        found = pool.map(take_numbers, [str(tmp_path)] * len(texts), texts)
        names = [name for some in found for name in some]
    numbers = {name[:5] for name in names}
    assert len(names) == len(numbers) == EACH * len(texts)
    assert not list((tmp_path / "results" / "alice").glob(".*"))


def test_a_claim_that_a_crash_left_is_passed_over(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    (layout.results / "alice").mkdir(parents=True)
    (layout.results / "alice" / ".00001.taken").touch()
    assert reserved_destination(layout, "alice", "Hi", "wav").final.name == "00002-hi.wav"


def test_a_name_that_nothing_was_kept_under_is_given_back(tmp_path: Path) -> None:
    destination = reserved_destination(Layout.at(tmp_path), "alice", "Hi", "wav")
    assert destination.folder.is_dir() and not destination.reserve()
    destination.release()
    assert not destination.folder.exists()
    assert destination.reserve()
    (destination.folder / "001.wav").touch()
    destination.release()
    assert destination.folder.is_dir()


def test_clips_are_found_below_the_results_only(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    clip = layout.results / "alice" / "a.wav"
    clip.parent.mkdir(parents=True)
    clip.touch()
    (tmp_path / "secret.wav").touch()
    (layout.results / "link.wav").symlink_to(tmp_path / "secret.wav")
    assert existing_clip(layout, clip_name(layout, clip)) == clip
    assert clip_name(layout, tmp_path / "secret.wav") == ""
    for name in ("../secret.wav", str(clip), "link.wav", "alice", "", "alice/b.wav", "\ud800.wav"):
        with pytest.raises(StudioError, match="no clip"):
            existing_clip(layout, name)
