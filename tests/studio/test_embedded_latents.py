"""A voice inside a clip, and the file itself, come from anyone: they are looked at, not trusted."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from core.errors import AppError
from core.paths import ProjectPaths
from engines.speaker_latents import SpeakerLatents
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.embedded_latents import read_embedded_latents
from studio.voices.uploads import resolve_file_ref, store_upload
from studio.workers.create_voice import decode_latents

SPEAKER = SpeakerLatents(
    engine="tortoise",
    weights_id="0123456789abcdef",
    tensors={"gpt": torch.randn(1, 8), "diffusion": torch.randn(2, 3).half()},
)
META = {"format": "testudo-conditioning-1", "engine": "tortoise", "weights_id": "x"}


def record(latents: str | None) -> TakeMetadata:
    return TakeMetadata(
        text="hello", voice="alice", engine="tortoise", bundle="starter", weights_id="x", seed=1,
        options={}, delivery={}, latents=latents,
    )  # fmt: skip


def test_the_light_look_agrees_with_the_one_that_loads_them(tmp_path: Path) -> None:
    found = read_embedded_latents(record(base64.b64encode(SPEAKER.to_bytes()).decode()), "a.wav")
    assert found is not None and found.content_id == SPEAKER.content_id
    assert (found.engine, found.weights_id) == (SPEAKER.engine, SPEAKER.weights_id)
    assert [(part.name, part.shape, part.dtype) for part in found.tensors] == [
        ("diffusion", (2, 3), "float16"),
        ("gpt", (1, 8), "float32"),
    ]
    (tmp_path / "kept.safetensors").write_bytes(found.raw)
    kept = SpeakerLatents.load(tmp_path / "kept.safetensors")
    assert kept.content_id == SPEAKER.content_id
    assert read_embedded_latents(record(None), "a.wav") is None


def coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def lying_header(**changes: object) -> bytes:
    header = {"__metadata__": META, "gpt": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    header["gpt"].update(changes)  # type: ignore[union-attr]
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + bytes(8)


HOSTILE: dict[str, Callable[[], str]] = {
    "no base64": lambda: "§§§",
    "no safetensors": lambda: coded(b"PK\x03\x04" * 100),
    "a pickle": lambda: coded(b"\x80\x04cos\nsystem\n"),
    "nothing": lambda: "",
    "too large": lambda: "A" * 3_000_000,
    "a huge header": lambda: coded(struct.pack("<Q", 2**62) + b"{}"),
    "a shape beyond its data": lambda: coded(lying_header(shape=[2**40])),
    "offsets beyond its data": lambda: coded(lying_header(data_offsets=[0, 800], shape=[200])),
    "whole numbers": lambda: coded(lying_header(dtype="I32")),
    "another format": lambda: coded(save({"gpt": torch.zeros(2)}, {"format": "pt"})),
    "no names": lambda: coded(save({"gpt": torch.zeros(2)}, {"format": META["format"]})),
    "not finite": lambda: coded(save({"gpt": torch.tensor([1.0, float("nan")])}, META)),
    "not finite in 16 bits": lambda: coded(
        save({"gpt": torch.tensor([float("inf")]).bfloat16()}, META)
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_latents_of_ours_is_refused_in_both_looks(what: str) -> None:
    text = HOSTILE[what]()
    with pytest.raises(AppError, match=r"latents in evil\.wav"):
        read_embedded_latents(record(text), "evil.wav")
    if what != "whole numbers":  # which an engine refuses by itself
        with pytest.raises(AppError, match=r"latents in evil\.wav"):
            decode_latents(text, "evil.wav")


def test_a_dropped_file_is_kept_under_a_name_of_ours(layout: ProjectPaths, tmp_path: Path) -> None:
    source = tmp_path / "..%2f <b>My Song!.WAV"
    source.write_bytes(b"sound")
    reference = store_upload(layout, source)
    kept = resolve_file_ref(layout, reference)
    assert kept.read_bytes() == b"sound" and source.exists()
    assert kept.name == "2f-b-my-song.wav" and kept.is_relative_to(layout.state / "uploads")
    assert resolve_file_ref(layout, store_upload(layout, source, "x.s/../../h")).suffix == ".bin"
    with pytest.raises(AppError, match="upload failed"):
        store_upload(layout, tmp_path / "gone.wav")


BAD = ["", "uploads", "uploads/x", "/etc/passwd", "state/x/y", "uploads/../journal.sqlite"]
BAD += ["results/../../etc/passwd", "results/.hidden/x.wav", "voices/alice/../bob/one.wav"]
BAD += ["uploads/ab/C:evil", "settings.yaml", "results/a\0/b.wav", "voices/alice/gone.wav"]


@pytest.mark.parametrize("reference", BAD)
def test_a_reference_leads_nowhere_else(layout: ProjectPaths, reference: str) -> None:
    with pytest.raises(AppError):
        resolve_file_ref(layout, reference)


def test_a_link_out_of_the_results_is_not_followed(layout: ProjectPaths, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    folder = layout.results / "alice"
    folder.mkdir(parents=True)
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(AppError, match="is outside of this studio"):
        resolve_file_ref(layout, "results/alice/link.wav")
    assert resolve_file_ref(layout, "voices/alice/one.wav").name == "one.wav"


def test_large_files_are_refused(
    layout: ProjectPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.voices.uploads.MAX_UPLOAD_BYTES", 10)
    (tmp_path / "large.wav").write_bytes(bytes(11))
    with pytest.raises(AppError, match="Cut it into shorter clips"):
        store_upload(layout, tmp_path / "large.wav")
