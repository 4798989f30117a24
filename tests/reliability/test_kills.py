"""Programs that are killed at random moments go on as if they had not been; -m soak kills 50."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns import killed_download, killed_generation, killed_queue, killed_training

KILLS, QUEUED = 50, 200


def test_a_killed_download_leaves_no_other_file(tmp_path: Path) -> None:
    assert killed_download.kill_downloads(tmp_path, 3).is_clean


def test_a_killed_studio_loses_and_doubles_no_job(tmp_path: Path) -> None:
    assert killed_generation.kill_studios(tmp_path, 2).is_clean


def test_a_queue_that_is_ended_keeps_its_order_and_its_requests(tmp_path: Path) -> None:
    assert killed_queue.end_queues(tmp_path, jobs=20, ends=2).is_clean


@pytest.mark.soak
@pytest.mark.timeout(1_500)
def test_fifty_killed_trainings_end_bit_for_bit_alike(tmp_path: Path) -> None:
    found = killed_training.kill_runs(tmp_path, KILLS)
    assert found.is_clean and found.kills >= KILLS


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_fifty_kills_of_downloads_leave_no_other_file(tmp_path: Path) -> None:
    found = killed_download.kill_downloads(tmp_path, KILLS)
    assert found.is_clean and found.kills >= KILLS


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_fifty_kills_of_studios_lose_and_double_no_job(tmp_path: Path) -> None:
    found = killed_generation.kill_studios(tmp_path, KILLS)
    assert found.is_clean and found.kills >= KILLS


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_two_hundred_queued_jobs_keep_their_order(tmp_path: Path) -> None:
    found = killed_queue.end_queues(tmp_path, jobs=QUEUED, ends=10)
    assert found.is_clean and found.requests == QUEUED
