"""What was heard of a speaker survives the disk and blends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engines.speaker_latents import SpeakerLatents, interpolate_latents


def speaker(value: float, weights_id: str = "w1", **more: Tensor) -> SpeakerLatents:
    latent = torch.full((1, 4), value)
    return SpeakerLatents(engine="test", weights_id=weights_id, tensors={"gpt": latent, **more})


def test_conditioning_survives_saving_and_loading(tmp_path: Path) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    kept = speaker(0.25, transposed=whole.T, same=whole, half=whole.half())
    kept.save(tmp_path / "a.safetensors")
    back = SpeakerLatents.load(tmp_path / "a.safetensors")
    assert (back.engine, back.weights_id) == ("test", "w1")
    assert back.tensors.keys() == kept.tensors.keys()
    for key, value in kept.tensors.items():
        assert back.tensors[key].dtype == value.dtype and back.tensors[key].equal(value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    speaker(0.5).save(path)
    before = path.read_bytes()
    broken = speaker(0.5)
    object.__setattr__(broken, "tensors", {"x": torch.zeros(2).to_sparse()})
    with pytest.raises((ValueError, RuntimeError, NotImplementedError)):
        broken.save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\xff" * 64])
def test_a_damaged_file_is_refused_with_advice(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="recomputed"):
        SpeakerLatents.load(path)


def test_a_blend_is_the_weighted_mean_whatever_the_weights_sum_to() -> None:
    for scale in (1.0, 7.0):
        mixed = interpolate_latents([(speaker(0.0), scale * 1.0), (speaker(1.0), scale * 3.0)])
        torch.testing.assert_close(mixed.tensors["gpt"], torch.full((1, 4), 0.75))


def test_a_blend_leaves_its_parts_alone_and_drops_what_only_one_has() -> None:
    slim, full = speaker(0.0), speaker(1.0, cvvp=torch.ones(2))
    assert set(interpolate_latents([(full, 1.0), (slim, 1.0)]).tensors) == {"gpt"}
    assert full.tensors["gpt"].unique().tolist() == [1.0] and "cvvp" in full.tensors


def test_speakers_of_different_weights_are_not_blended() -> None:
    with pytest.raises(ValueError, match="test w1 and test w2 cannot be blended"):
        interpolate_latents([(speaker(0.0), 1.0), (speaker(1.0, weights_id="w2"), 1.0)])


@pytest.mark.parametrize("weights", [(0.0, 0.0), (-1.0, 2.0), (float("nan"), 1.0)])
def test_weights_that_mean_nothing_are_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be 0 or more, one above 0"):
        interpolate_latents([(speaker(0.0), weights[0]), (speaker(1.0), weights[1])])


def test_a_blend_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one speaker"):
        interpolate_latents([])
