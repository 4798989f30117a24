"""Batches of speakers x utterances."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speakers.dataset import (
    FeatureFile,
    SpeakerDatasetError,
    get_feature_path,
    read_speaker_dataset,
    suggest_batch_shape,
    write_speaker_dataset,
)
from speakers.modules.feature_config import FeatureConfig
from speakers.training.config import EncoderTrainConfig
from speakers.training.sampler import (
    BatchSampler,
    FeatureStore,
    ShufflingCycler,
    compute_cycle_steps,
    split_speakers,
)
from support.speaker_datasets import write_tone_dataset

CONFIG = EncoderTrainConfig(speakers_per_batch=3, utterances_per_speaker=4, crop_frames=20)


def make_sampler(folder: Path, config: EncoderTrainConfig = CONFIG) -> BatchSampler:
    dataset = write_tone_dataset(folder)
    store = FeatureStore(folder, dataset)
    return BatchSampler(store, dataset.speakers, config, seed=5, augment=True)


@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_every_item_is_drawn_equally_often(size: int, counts: list[int]) -> None:
    cycler, generator = ShufflingCycler(size), torch.Generator().manual_seed(1)
    drawn: list[int] = []
    for count in counts:
        group = cycler.draw(count, generator)
        drawn += group
        if count <= size:
            assert len(set(group)) == count
    total, seen = len(drawn), Counter(drawn)
    assert all(total // size <= seen[item] <= (total - 1) // size + 1 for item in range(size))


def test_a_batch_holds_the_utterances_of_each_speaker_in_a_row(tmp_path: Path) -> None:
    batch = make_sampler(tmp_path).draw()
    assert batch.frames.shape == (12, 20, 40) and batch.frames.dtype == torch.float32
    assert len(batch.speakers.unique()) == 3
    for row, speaker in enumerate(batch.speakers.repeat_interleave(4).tolist()):
        assert int(batch.frames[row].mean(0)[:8].argmax()) == speaker


def test_a_saved_state_continues_with_the_same_batches(tmp_path: Path) -> None:
    config = replace(CONFIG, min_crop_frames=10, mask_frames=4, mask_bins=4, gain_db=3.0)
    sampler = make_sampler(tmp_path, config)
    for _ in range(3):
        sampler.draw()
    state = sampler.state_dict()
    expected = [sampler.draw() for _ in range(4)]
    again = make_sampler(tmp_path, config)
    again.load_state_dict(state)
    for batch in expected:
        assert torch.equal(again.draw().frames, batch.frames)


def test_a_short_utterance_is_padded_with_its_minimum(tmp_path: Path) -> None:
    batch = make_sampler(tmp_path, replace(CONFIG, crop_frames=50)).draw()
    assert batch.frames.shape == (12, 50, 40)
    for crop in batch.frames:
        padding = (crop == crop.min(0).values).all(1)
        assert 18 <= int(padding.sum()) <= 20


def test_the_last_offset_of_a_crop_is_used(tmp_path: Path) -> None:
    sampler = make_sampler(tmp_path, replace(CONFIG, crop_frames=29))
    first = write_tone_dataset(tmp_path).speakers[0].files[0]
    whole = torch.from_numpy(FeatureStore(tmp_path, read_speaker_dataset(tmp_path)).read(first))
    crops = [crop for _ in range(30) for crop in sampler.draw().frames]
    assert any(torch.equal(crop, whole[1:30]) for crop in crops)


def test_validation_has_speakers_of_its_own(tmp_path: Path) -> None:
    dataset = write_tone_dataset(tmp_path)
    split = split_speakers(dataset, 0.25, seed=1)
    ids = [{speaker.id for speaker in part} for part in (split.train, split.validation)]
    assert [len(part) for part in ids] == [6, 2] and not ids[0] & ids[1]
    assert split_speakers(dataset, 0.25, seed=1) == split
    assert not split_speakers(dataset, 0.0, seed=1).validation
    few = replace(dataset, speakers=dataset.speakers[:3])
    with pytest.raises(SpeakerDatasetError, match=r"3 speakers.*validation 2"):
        split_speakers(few, 0.1, seed=1)


def test_the_batch_shape_and_the_cycle_follow_from_the_dataset(tmp_path: Path) -> None:
    assert suggest_batch_shape([30] * 500) == (64, 10)
    assert suggest_batch_shape([1] * 251) == (64, 4)
    assert suggest_batch_shape([6] * 7) == (3, 6)
    with pytest.raises(SpeakerDatasetError, match="two speakers"):
        suggest_batch_shape([9, 0])
    people = write_tone_dataset(tmp_path, speakers=9, files=8).speakers
    assert compute_cycle_steps(people, CONFIG) == (9 // 3) * (8 // 4)
    assert compute_cycle_steps(people, replace(CONFIG, crop_frames=10)) == 3 * (8 * 3 // 4)
    assert compute_cycle_steps(people[:1], CONFIG, at_least=10) == 10


def test_damaged_features_and_paths_are_refused(tmp_path: Path) -> None:
    dataset = write_tone_dataset(tmp_path)
    file = dataset.speakers[0].files[0]
    get_feature_path(tmp_path, file).write_bytes(b"nothing")
    with pytest.raises(SpeakerDatasetError, match="cannot be read"):
        FeatureStore(tmp_path, dataset).read(file)
    other = replace(dataset, features=FeatureConfig(kind="singer_mel"))
    with pytest.raises(SpeakerDatasetError, match=r"\(frames, 80\)"):
        FeatureStore(tmp_path, other).read(dataset.speakers[1].files[0])
    for path in ("../x.npy", "/x.npy", "", "a\\b.npy"):
        with pytest.raises(SpeakerDatasetError, match="no path inside"):
            FeatureFile(path=path, frames=1)


def test_a_dataset_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    dataset = write_tone_dataset(tmp_path)
    assert read_speaker_dataset(tmp_path) == dataset
    with pytest.raises(SpeakerDatasetError, match="version 9"):
        write_speaker_dataset(tmp_path, replace(dataset, version=9))
    (tmp_path / "dataset.json").write_text('{"versio": 1}')
    with pytest.raises(SpeakerDatasetError, match="version"):
        read_speaker_dataset(tmp_path)
    with pytest.raises(SpeakerDatasetError, match="Preprocess the recordings first"):
        read_speaker_dataset(tmp_path / "missing")
