"""Weights, latents and tokenizers of people who mean harm: none runs code or takes memory."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from campaigns.figures import Figures, peak_mb
from campaigns.processes import call
from core.errors import CodedError
from engines.safetensors_io import read_pickle, read_tensors
from engines.speaker_latents import SpeakerLatents
from text.tokenizer import load_tokenizer

MAX_MB = 64
CANARY = "canary"
GADGETS = (
    *(("os", "system"), ("posix", "system"), ("subprocess", "call"), ("builtins", "eval")),
    *(("builtins", "exec"), ("builtins", "getattr"), ("runpy", "run_path"), ("pty", "spawn")),
    *(("torch.hub", "load"), ("torch", "load"), ("codecs", "decode"), ("shutil", "rmtree")),
    *(("torch.serialization", "load"), ("importlib", "import_module"), ("webbrowser", "open")),
    *(("numpy.testing._private.utils", "runstring"), ("timeit", "timeit"), ("cProfile", "run")),
)


def gadget(module: str, name: str, canary: str) -> bytes:
    """A pickle that calls a function with a command."""
    command = f"touch {canary}"
    return b"c" + f"{module}\n{name}\n".encode() + b"(V" + command.encode() + b"\ntR."


def archive(pickled: bytes, method: int = zipfile.ZIP_STORED, prefix: str = "archive") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr(f"{prefix}/data.pkl", pickled)
        file.writestr(f"{prefix}/version", "3\n")
        file.writestr(f"{prefix}/byteorder", "little")
        file.writestr(f"{prefix}/data/0", bytes(64))
    return stream.getvalue()


def saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def safetensors(header: bytes, length: int | None = None, data: bytes = bytes(16)) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def header(**entry: Any) -> bytes:
    described = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **entry}
    return json.dumps({"gpt": described}).encode()


def pickles(canary: str) -> Iterator[tuple[str, bytes]]:
    """Hostile .pth files."""
    for module, name in GADGETS:
        yield f"calls {module}.{name}", archive(gadget(module, name, canary))
        yield f"old format calls {module}.{name}", gadget(module, name, canary)
    for prefix in ("../x", "/etc", "archive/..", ""):
        yield f"entries under {prefix!r}", archive(pickle.dumps({}), prefix=prefix)
    ones = torch.ones(1, 8)
    yield "stride bomb", saved({"gpt": torch.ones(1).expand(1_000_000, 1_000_000)})
    yield "sparse", saved({"gpt": ones.to_sparse()})
    yield "nested zip", archive(archive(b"."))
    yield "compressed", archive(pickle.dumps(bytes(50_000_000)), zipfile.ZIP_DEFLATED)
    yield "deep recursion", archive(b"\x80\x02" + b"(" * 200_000 + b".")
    yield "deep lists", archive(b"\x80\x02" + b"]" * 200_000 + b".")
    yield "memo bomb", archive(b"\x80\x02]q\0" + b"(h\0h\0e" * 20_000 + b".")
    yield "long text", archive(b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.")
    yield "long bytes", archive(b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".")
    yield "no end", archive(b"\x80\x02}")
    yield "another protocol", archive(b"\x80\x63}.")
    yield "seven zip", b"7z\xbc\xaf\x27\x1c" + bytes(99)
    yield "NaN", saved({"gpt": ones * torch.nan})
    yield "no tensors", saved({"gpt": "text", "other": [1, 2, {"x": None}]})
    yield "no dictionary", saved([ones, ones])
    yield "old format", saved({"gpt": ones}, _use_new_zipfile_serialization=False)


def tensor_files() -> Iterator[tuple[str, bytes]]:
    """Hostile .safetensors files."""
    yield "empty", b""
    yield "length beyond the file", safetensors(b"{}", 2**63)
    yield "length of megabytes", safetensors(b"{}", 100_000_001)
    yield "no JSON", safetensors(b"{" * 999)
    yield "deep JSON", safetensors(b"[" * 100_000)
    yield "spaces", safetensors(b" " * 999 + header())
    yield "shape beyond the data", safetensors(header(shape=[2**40, 2**20]))
    yield "negative shape", safetensors(header(shape=[-4]))
    yield "offsets beyond the data", safetensors(header(data_offsets=[0, 2**40]))
    yield "offsets reversed", safetensors(header(data_offsets=[16, 0]))
    yield "unknown type", safetensors(header(dtype="F3"))
    yield "fp8", safetensors(header(dtype="F8_E4M3", shape=[16]))
    yield "text as a shape", safetensors(header(shape="4"))
    yield "twice", safetensors(header()[:-1] + b"," + header()[1:])
    yield "NaN", safetensors(header(), data=struct.pack("<4f", *[float("nan")] * 4))
    many = {f"t{n}": json.loads(header())["gpt"] for n in range(20_000)}
    yield "many tensors in one place", safetensors(json.dumps(many).encode())


def load_all(folder: Path) -> Figures:
    """Load every file in one process; none may leave the canary or take memory."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = Figures(**call(_load_all, folder))
    assert not (folder / CANARY).exists(), "code ran"
    return figures


def _load_all(folder: Path) -> dict[str, int]:
    for _, content in [*pickles("x"), *tensor_files()][:1]:
        _load(folder / "warm.pth", content)  # imports what the first refusal imports
    before, files = peak_mb(), 0
    for suffix, made in ((".pth", pickles(str(folder / CANARY))), (".safetensors", tensor_files())):
        for name, content in made:
            _load(folder / f"a{suffix}", content, name)
            files += 1
    for name, content in tokenizers():
        (folder / "tokenizer.json").write_text(content)
        _refused(lambda: load_tokenizer(folder), name)
        files += 1
    return {"files": files, "peak_mb": peak_mb() - before}


def tokenizers() -> Iterator[tuple[str, str]]:
    """Hostile tokenizers."""
    yield "deep", '{"a":' * 200_000
    yield "long merges", json.dumps({"model": {"type": "BPE", "merges": ["a b"] * 50_000}})
    yield "no model", "{}"
    yield "text", "tokenizer"
    yield "ids", json.dumps({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})


def _load(path: Path, content: bytes, name: str = "") -> None:
    path.write_bytes(content)
    if path.suffix == ".pth":
        _refused(lambda: read_pickle(path), name)
        return
    _refused(lambda: read_tensors(path), name)
    _refused(lambda: SpeakerLatents.load(path), name)


def _refused(read: Any, name: str) -> None:
    try:
        read()
    except CodedError as refusal:
        assert str(refusal) and refusal.code, name
    except BaseException as error:
        raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
