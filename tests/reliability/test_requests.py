"""Names, requests and clients in numbers, each in a server of its own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns import crowd, hostile_names, hostile_requests

NAMES, CLIENTS, JOBS, WATCHERS = 300, 50, 4, 60
MAX_GROWTH_MB = 150  # of the server with its worker, most of it by the first jobs


def test_hostile_requests_are_refused_and_nothing_is_fetched(tmp_path: Path) -> None:
    hosts, origins = len(hostile_requests.HOSTS), len(hostile_requests.ORIGINS)
    paths = len(hostile_requests.STEPS) * len(hostile_requests.TARGETS)
    assert min(hosts, origins, len(hostile_requests.URLS)) >= 20 and paths >= 30
    assert hostile_requests.send_all(tmp_path).requests >= 300


def test_hostile_names_stay_inside_the_folder(tmp_path: Path) -> None:
    assert hostile_names.try_names(tmp_path, hostile_names.names()[::15]).names >= 20


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_hundreds_of_hostile_names_stay_inside_the_folder(tmp_path: Path) -> None:
    assert hostile_names.try_names(tmp_path, hostile_names.names()).names >= NAMES


def test_a_crowd_is_served_in_order(tmp_path: Path) -> None:
    found = crowd.serve_crowd(tmp_path, clients=CLIENTS, jobs=1, watchers=5)
    assert found.is_clean and found.requests > CLIENTS


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_fifty_clients_with_four_jobs_each_are_served_while_sixty_watch(tmp_path: Path) -> None:
    found = crowd.serve_crowd(tmp_path, clients=CLIENTS, jobs=JOBS, watchers=WATCHERS)
    assert found.is_clean and found.requests > CLIENTS * JOBS
    assert found.peak_mb < MAX_GROWTH_MB
