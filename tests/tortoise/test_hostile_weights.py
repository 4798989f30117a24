"""Weights, latents and tokenizers that were made to do harm end in an error that says why."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engines.model_files import ModelFileError
from engines.safetensors_io import find_tensor_problem, load_weights_strict, read_pickle
from engines.speaker_latents import SpeakerLatents
from support.published_files import saved
from support.tiny_bundle import ARCHITECTURES, bpe_tokenizer
from text.tokenizer import TokenizerError, load_tokenizer
from tortoise.checkpoints.convert import check_tokenizer, read_mel_norms, read_voice_latents
from tortoise.checkpoints.loading import MelStats, build_network, load_mel_stats, save_mel_stats

TOKENS = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "a": 3}
GPT, DIFFUSION = torch.ones(1, 8), torch.ones(1, 16)


def strange_tensors() -> dict[str, Tensor]:
    return {
        "fp8": torch.ones(1, 8).to(torch.float8_e4m3fn),
        "meta": torch.ones(1, 8, device="meta"),
        "sparse": torch.eye(8)[:1].to_sparse(),
        "csr": torch.eye(8).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.ones(1, 8), 0.1, 0, torch.qint8),
        "complex": torch.ones(1, 8, dtype=torch.complex64),
        "stride": torch.ones(1).expand(10**6, 10**6),
    }


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "file.pth"
    path.write_bytes(saved(content))
    return path


@pytest.mark.parametrize("kind", strange_tensors())
def test_a_tensor_that_no_network_computes_with_is_refused_wherever_it_lies(
    tmp_path: Path, kind: str
) -> None:
    tensor = strange_tensors()[kind]
    assert find_tensor_problem(tensor)
    for content in (tensor, {"model": {"weight": tensor}}, (GPT, [tensor])):
        with pytest.raises(ModelFileError, match=r"has a tensor that|damaged"):
            read_pickle(written(tmp_path, content))


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(0, 8),
        torch.ones(1, 0),
        torch.ones(1, 8, dtype=torch.int64),
        torch.ones(1, 8, dtype=torch.bool),
        torch.full((1, 8), torch.nan),
        torch.full((1, 8), torch.inf),
    ],
)
def test_latents_without_finite_numbers_are_refused(tmp_path: Path, bad: Tensor) -> None:
    with pytest.raises(ModelFileError, match="holds no pair of latents"):
        read_voice_latents(written(tmp_path, (bad, DIFFUSION)), "id")
    with pytest.raises(ValueError, match="latents cannot be used: gpt"):
        SpeakerLatents(engine="tortoise", weights_id="id", tensors={"gpt": bad})
    save_file({"gpt": bad}, tmp_path / "a.safetensors", {"format": "testudo-conditioning-1"})
    with pytest.raises(ValueError, match="does not say which weights"):
        SpeakerLatents.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda value: value.to(torch.complex64), "complex64"),
        (lambda value: value.to(torch.int32), "holds int32, not float32"),
        (lambda value: value > 0, "holds bool, not float32"),
        (lambda value: torch.full_like(value, torch.nan), "NaN or infinite"),
        (lambda value: torch.full_like(value, -torch.inf), "NaN or infinite"),
    ],
)
def test_a_network_refuses_numbers_that_it_cannot_compute_with(
    tmp_path: Path, change: Any, message: str
) -> None:
    network = build_network("random_gpt", ARCHITECTURES["random_gpt"])
    tensors = {key: torch.zeros_like(value) for key, value in network.state_dict().items()}
    key = next(iter(tensors))
    save_file({**tensors, key: change(tensors[key])}, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=f"{key} .*{message}"):
        load_weights_strict(network, tmp_path / "a.safetensors")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 0.0])
def test_mel_norms_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    norms = torch.ones(80)
    norms[3] = bad
    with pytest.raises(ModelFileError, match=r"one divisor .* finite"):
        read_mel_norms(written(tmp_path, norms))
    save_mel_stats(tmp_path, MelStats(norms=norms))
    if bad:
        with pytest.raises(ModelFileError, match="not finite"):
            load_mel_stats(tmp_path)


def test_mel_norms_of_integers_or_in_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"one divisor .* finite"):
        read_mel_norms(written(tmp_path, torch.ones(80, dtype=torch.int64)))
    for content in (b"", b"\xff" * 99):
        (tmp_path / "mel.safetensors").write_bytes(content)
        with pytest.raises(ModelFileError, match="damaged"):
            read_mel_norms(tmp_path / "mel.safetensors")
    save_file({"other": torch.ones(80)}, tmp_path / "mel.safetensors")
    with pytest.raises(ModelFileError, match=r"one divisor .* finite"):
        read_mel_norms(tmp_path / "mel.safetensors")


def repacked(packed: bytes, compression: int) -> bytes:
    """The same archive with another compression."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(sink, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return sink.getvalue()


def test_a_compressed_archive_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = repacked(saved(torch.zeros(2_000_000)), zipfile.ZIP_DEFLATED)
    assert len(packed) < 50_000
    (tmp_path / "bomb.pth").write_bytes(packed)
    for module, name in ((torch, "load"), (zipfile.ZipFile, "open")):
        monkeypatch.setattr(module, name, lambda *a, **k: pytest.fail("unpacked"))
    with pytest.raises(ModelFileError, match="larger unpacked than on disk"):
        read_pickle(tmp_path / "bomb.pth")


def test_a_changed_byte_in_an_archive_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(saved(torch.full((1_000,), 1.5)))
    content = path.read_bytes()
    at = content.index(struct.pack("<f", 1.5) * 10)
    path.write_bytes(content[: at + 2] + b"\x7f" + content[at + 3 :])
    with pytest.raises(ModelFileError, match=r"the checksum of .* does not match"):
        read_pickle(path)


def test_a_long_description_of_tensors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.safetensors_io.MAX_PICKLE_BYTES", 1_000)
    with pytest.raises(ModelFileError, match="in more than 1,000 bytes"):
        read_pickle(written(tmp_path, ["word"] * 1_000))


def nested(depth: int) -> str:
    return '{"model":' * depth + "1" + "}" * depth


def test_a_tokenizer_of_any_depth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(nested(200_000))
    with pytest.raises(TokenizerError, match="nested too deeply"):
        load_tokenizer(tmp_path)
    with pytest.raises(ModelFileError, match="nested too deeply"):
        check_tokenizer(path)


@pytest.mark.parametrize("id", [-1, "5", 4_000_000_000, 10_000, 1.5, None])
def test_a_token_id_out_of_range_is_refused(tmp_path: Path, id: Any) -> None:
    described = json.loads(bpe_tokenizer(dict(TOKENS)))
    described["model"]["vocab"]["zz"] = id
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(TokenizerError, match=r"not a valid vocabulary|ids count from 0"):
        load_tokenizer(tmp_path)
    with pytest.raises(ModelFileError, match="not the published tokenizer"):
        check_tokenizer(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    "change",
    [
        {"lexicon": "../lexicon.gz"},
        {"lexicon": "/etc/passwd"},
        {"letter_to_sound": ""},
        {"letter_to_sound": ["a"]},
        {"symbols": ["a", 1]},
        {"symbols": ["a", "a"]},
    ],
)
def test_a_phoneme_tokenizer_with_paths_or_odd_symbols_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    good = {"type": "phonemes", "symbols": ["a"], "lexicon": "l.gz", "letter_to_sound": "t.gz"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(good | change))
    with pytest.raises(TokenizerError, match=r"same folder|symbols"):
        load_tokenizer(tmp_path)
