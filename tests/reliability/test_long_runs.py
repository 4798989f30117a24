"""Long histories, long clips and long runs; -m soak takes 10,000 clips, an hour, 2,000 jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import measure_write
from campaigns import long_history, long_run

CLIPS, GENERATIONS = 10_000, 2_000
MAX_MB_OF_AN_HOUR = 64


def test_a_history_of_new_clips_is_listed_searched_and_deleted_from(tmp_path: Path) -> None:
    assert long_history.use_history(tmp_path, 500).is_clean


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_a_history_of_ten_thousand_clips_is_listed_searched_and_deleted_from(
    tmp_path: Path,
) -> None:
    assert long_history.use_history(tmp_path, CLIPS).is_clean


def test_generations_leave_no_file_handle_thread_or_object_behind(tmp_path: Path) -> None:
    assert long_run.speak_long(tmp_path, 75).is_clean


@pytest.mark.soak
@pytest.mark.timeout(1_500)
def test_two_thousand_generations_leave_no_memory_behind(tmp_path: Path) -> None:
    found = long_run.speak_long(tmp_path, GENERATIONS)
    assert found.is_clean and found.bytes_per_job < long_run.MAX_BYTES_PER_JOB


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".opus"])
def test_an_hour_is_written_in_constant_memory(suffix: str, tmp_path: Path) -> None:
    assert measure_write(tmp_path / f"hour{suffix}") < MAX_MB_OF_AN_HOUR
