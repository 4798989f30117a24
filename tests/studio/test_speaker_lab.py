"""The speaker lab: who is like whom, who else speaks, and where embeddings lie."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import AppError, InvalidValueError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import from_dict, to_dict
from speakers import likeness
from studio.app.studio import Studio
from studio.app.task_registry import TASKS
from studio.encoders.lab import (
    CompareSpeakersRequest,
    FindSpeakersRequest,
    MapSpeakersRequest,
    list_encoders,
    list_map_data,
    read_preview,
)
from studio.history.likeness import MeasureLikenessRequest
from studio.history.query import Search
from studio.history.service import History
from studio.workers.encoders.lab import (
    compare_speakers_task,
    find_speakers_task,
    map_speakers_task,
)
from studio.workers.encoders.likeness import measure_likeness_task

VOICES = Path(__file__).resolve().parents[2] / "voices"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio with two of the shipped voices, and the encoder that every installation has."""
    monkeypatch.setattr(likeness, "find_spec", lambda name: None)
    for voice in ("iris", "felix"):
        shutil.copytree(VOICES / voice, tmp_path / "voices" / voice)
    return Studio.open(tmp_path)


def join_voices(context: Studio) -> str:
    """Write a recording: iris, a pause, then felix. Returns its reference."""
    first, second = (read_clip(VOICES / voice / "1.flac") for voice in ("iris", "felix"))
    pause = torch.zeros(first.sample_rate // 2)
    wave = torch.cat([first.wave, pause, second.resample(first.sample_rate).wave])
    folder = context.layout.state / "uploads" / "0"
    folder.mkdir(parents=True)
    write_clip(folder / "two.wav", Clip(wave=wave, sample_rate=first.sample_rate))
    return "uploads/0/two.wav"


def test_clips_are_nearest_to_the_voice_that_speaks(context: Studio) -> None:
    request = CompareSpeakersRequest(
        clips=("voices/iris/1.flac", "voices/felix/2.flac"), voices=("iris", "felix")
    )
    found = compare_speakers_task(context, request, ProgressReporter())
    assert found.names == ("1.flac", "2.flac", "iris", "felix") and found.encoder == "built-in"
    nearest = {item.name: item for item in found.nearest}
    assert nearest["1.flac"].other == "iris" and nearest["felix"].other == "2.flac"
    assert (nearest["1.flac"].sure or 0) > 0.9 and found.matrix[0][0] == pytest.approx(1.0)
    assert found.matrix[2][3] < 0.567


def test_a_second_speaker_is_found_with_times(context: Studio) -> None:
    pytest.importorskip("sklearn")
    request = FindSpeakersRequest(clip=join_voices(context))
    found = find_speakers_task(context, request, ProgressReporter())
    change = read_clip(VOICES / "iris" / "1.flac").duration_s + 0.25
    assert len(found.speakers) == 2 and found.speakers[1].cosine < 0.65
    edges = [turn.stop_s for turn in found.turns[:-1]]
    assert min(abs(edge - change) for edge in edges) < 0.7
    assert len(found.peaks) == 600 and max(found.peaks) == 1.0
    assert sum(one.share for one in found.speakers) == pytest.approx(1.0)


def test_one_voice_is_one_speaker(context: Studio) -> None:
    pytest.importorskip("sklearn")
    request = FindSpeakersRequest(clip="voices/iris/2.flac")
    found = find_speakers_task(context, request, ProgressReporter())
    assert [one.speaker for one in found.speakers] == [1]


def test_all_voices_are_mapped_and_a_point_can_be_played(context: Studio) -> None:
    pytest.importorskip("sklearn")
    found = map_speakers_task(context, MapSpeakersRequest(method="pca"), ProgressReporter())
    assert found.total == len(found.points) == 8
    assert {point.speaker for point in found.points} == {"iris", "felix"}
    assert all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in found.points)
    rate, samples = read_preview(found.points[0].file)
    assert rate > 8_000 and len(samples) > rate
    with pytest.raises(AppError, match="cannot be played"):
        read_preview(str(context.layout.root / "gone.wav"))


def test_requests_survive_the_way_to_the_worker_and_wrong_ones_are_refused() -> None:
    compare = CompareSpeakersRequest(clips=("uploads/0/a.wav",), voices=("iris",))
    requests = {
        "compare_speakers": compare,
        "find_speakers": FindSpeakersRequest(clip="uploads/0/a.wav"),
        "map_speakers": MapSpeakersRequest(data="/x", method="umap"),
    }
    for task, request in requests.items():
        assert from_dict(type(request), to_dict(request)) == request
        assert TASKS[task].request == f"studio.encoders.lab:{type(request).__name__}"
    with pytest.raises(InvalidValueError, match="choose 2 to 40"):
        replace(compare, clips=())
    with pytest.raises(InvalidValueError, match="tsne, umap, pca"):
        MapSpeakersRequest(method="lda")


def test_encoders_and_datasets_are_offered(layout: ProjectPaths) -> None:
    run = layout.encoder_run("mine")
    run.mkdir(parents=True)
    (run / "encoder.pt").write_bytes(b"x")
    (layout.dataset("alice") / "audio").mkdir(parents=True)
    assert "mine" in [name for _, name in list_encoders(layout)]
    assert list_encoders(layout)[0][1] == "auto" and "built-in" in dict(list_encoders(layout))
    assert list_map_data(layout)[1] == ("Dataset alice", str(layout.dataset("alice")))


def test_generated_clips_are_compared_with_their_voice(context: Studio) -> None:
    results = context.layout.results
    for folder, source in (("iris", "iris"), ("iris", "felix"), ("gone", "iris")):
        (results / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(VOICES / source / "3.flac", results / folder / f"{source}.flac")
    found = measure_likeness_task(context, MeasureLikenessRequest(), ProgressReporter())
    assert (found.encoder, found.measured, list(found.skipped)) == ("built-in", 2, ["gone"])
    listing = History.open(context.layout).find(Search(order="likeness")).rows
    assert [row.path for row in listing] == ["iris/iris.flac", "iris/felix.flac", "gone/iris.flac"]
    assert (listing[0].likeness or 0) > 0.7 > (listing[1].likeness or 1) + 0.1
    again = measure_likeness_task(context, MeasureLikenessRequest(), ProgressReporter())
    assert again.measured == 0
