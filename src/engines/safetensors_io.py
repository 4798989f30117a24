"""Networks and safetensors files: built empty, filled strictly, written in one step."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from engines.model_files import (
    ModelFileError,
    forget_checksum,
    record_checksum,
    write_atomically,
)

MAX_REPORTED_MISMATCHES = 5
"""Mismatched tensors that an error lists by name."""
MAX_PICKLE_BYTES = 64_000_000
"""Of the part of a `.pth` that describes its tensors."""
MAX_PICKLE_DEPTH = 32
FLOAT_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGER_DTYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
_DAMAGED_PICKLE_ERRORS = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def load_weights_strict(
    network: nn.Module, file: Path, dtype: torch.dtype | None = torch.float32
) -> None:
    """Load a safetensors file into a network, strictly.

    Raises BundleError when the file is missing, damaged or does not match.
    """
    check_weights_match(read_shapes(file), network, str(file))
    tensors = read_tensors(file)
    check_weight_values(tensors, network, str(file))
    if dtype is not None:
        tensors = {key: cast_floats(value, dtype) for key, value in tensors.items()}
    network.load_state_dict(tensors, strict=True, assign=True)


def check_weights_match(
    shapes: Mapping[str, tuple[int, ...]], network: nn.Module, source: str
) -> None:
    """Refuse weights whose names or shapes are not the network's.  shapes: key -> shape."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    misfits = [f"lacks {key}" for key in expected.keys() - shapes.keys()]
    misfits += [f"has {key} too many" for key in shapes.keys() - expected.keys()]
    misfits += [
        f"has {key} as {_format_shape(shapes[key])}, not {_format_shape(expected[key])}"
        for key in expected.keys() & shapes.keys()
        if shapes[key] != expected[key]
    ]
    if misfits:
        shown = "; it ".join(sorted(misfits)[:MAX_REPORTED_MISMATCHES])
        rest = len(misfits) - MAX_REPORTED_MISMATCHES
        more = f"; and {rest} more tensors do not fit" if rest > 0 else ""
        raise ModelFileError(
            f"{source} does not fit the {type(network).__name__} of config.json: it "
            f"{shown}{more}. Use weights and config.json of the same model.",
            code="bundle_incompatible",
        )


def check_weight_values(tensors: Mapping[str, Tensor], network: nn.Module, source: str) -> None:
    """Refuse weights of matching shapes whose numbers the network cannot use.

    Floating-point weights must be so in the file, and finite; counters must be integers.
    """
    for key, expected in network.state_dict().items():
        value = tensors[key]
        problem = find_tensor_problem(value)
        if not problem and value.is_floating_point() != expected.is_floating_point():
            problem = f"holds {_name_dtype(value)}, not {_name_dtype(expected)}"
        if not problem and not is_finite(value):
            problem = "contains NaN or infinite values"
        if problem:
            raise ModelFileError(f"{source}: {key} {problem}. Use another file of these weights.")


def find_tensor_problem(value: Tensor) -> str:
    """Return why the numbers of a tensor cannot be used, as of "is sparse"; "" if they can."""
    if value.is_quantized:
        return "is quantized; ordinary floating-point weights are needed"
    if value.layout != torch.strided:
        return "is sparse; a dense tensor is needed"
    if value.device.type != "cpu":
        return f"has no numbers (it is on the device {value.device.type})"
    if value.dtype not in (*FLOAT_DTYPES, *INTEGER_DTYPES):
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOAT_DTYPES)
        return f"holds {_name_dtype(value)}; {names} are supported"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return "claims more numbers than the file holds"
    return ""


def is_finite(value: Tensor) -> bool:
    """Return whether no number is NaN or infinite, without a copy of the tensor."""
    if not value.is_floating_point() or not value.numel():
        return True
    return all(bool(torch.isfinite(bound)) for bound in torch.aminmax(value))


def _name_dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def cast_floats(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert a floating-point tensor to another dtype; return other tensors unchanged."""
    return value.to(dtype) if value.is_floating_point() else value


def save_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file of a bundle in one step and record its checksum."""
    whole = _clone_shared_tensors(tensors)

    def write(beside: Path) -> None:
        _write_tensors(whole, beside)
        forget_checksum(file)  # before the new file takes its place, so that none outlives it

    write_atomically(file, write)
    with suppress(OSError, ModelFileError):  # without room for a record the file itself is read
        record_checksum(file)


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a safetensors file, reading its header only."""
    try:
        with safe_open(file, framework="pt") as opened:
            keys = list(opened.keys())
            return {key: tuple(opened.get_slice(key).get_shape()) for key in keys}
    except FileNotFoundError:
        raise _make_missing_file_error(file) from None
    except SafetensorError as error:
        raise _make_damaged_file_error(file, error) from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return every tensor of a safetensors file, mapped from disk."""
    try:
        return load_file(file)
    except FileNotFoundError:
        raise _make_missing_file_error(file) from None
    except SafetensorError as error:
        raise _make_damaged_file_error(file, error) from error


class SkipRandomInit(TorchFunctionMode):
    """Skips the random start of parameters: it costs seconds, and a file replaces it anyway.

    Unlike the meta device this leaves computed buffers in place, and the global generator alone.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # Any: the signature that torch gives this hook
        kwargs = kwargs or {}
        fills = func in (torch.Tensor.uniform_, torch.Tensor.normal_)
        if fills or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in (torch.randn, torch.rand):
            return torch.empty(*args, **kwargs)
        return func(*args, **kwargs)


def _clone_shared_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy each tensor to its own memory on the CPU, as safetensors does not accept views."""
    seen: set[int] = set()
    whole: dict[str, Tensor] = {}
    for key, value in tensors.items():
        value = value.cpu().contiguous()
        storage = value.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != value.nbytes:
            value = value.clone()
        seen.add(value.untyped_storage().data_ptr())
        whole[key] = value
    return whole


def _write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    try:
        save_file(dict(tensors), file)
    except SafetensorError as error:
        if f"os error {errno.ENOSPC}" in str(error):  # it has no exception of its own for that
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise ModelFileError(
            f"{file.parent} could not be written ({error}). Nothing was changed; choose another "
            "folder, or check the disk."
        ) from error


def _make_missing_file_error(file: Path) -> ModelFileError:
    return ModelFileError(
        f"{file.parent} has no {file.name}. Download the model again, or verify it.",
        cli_hint="`testudo models verify` does so.",
    )


def _make_damaged_file_error(file: Path, error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{file} is damaged or truncated ({error}). Download the model again, or restore the file."
    )


def _format_shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


REDOWNLOAD_HINT = "Use the published file."


def read_pickle(source: Path, hint: str = REDOWNLOAD_HINT) -> Any:
    """Read a `.pth` that holds tensors and plain values only; Any: published in several forms.

    hint: what to do, for the message of the ModelFileError.
    """
    if not source.is_file():
        raise ModelFileError(f"There is no file {source}. {hint}")
    try:
        is_zip = zipfile.is_zipfile(source)
        if is_zip:
            _check_zip(source, hint)
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zip)
        problem = next(filter(None, map(find_tensor_problem, _iter_tensors(content))), "")
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{source} is damaged, or contains more than tensors; files that could run code are "
            f"not loaded. {hint}"
        ) from error
    except ModelFileError:
        raise
    except _DAMAGED_PICKLE_ERRORS as error:
        raise ModelFileError(f"{source} is damaged or truncated. {hint}") from error
    if problem:
        raise ModelFileError(f"{source} has a tensor that {problem}. {hint}")
    return content


def _check_zip(source: Path, hint: str) -> None:
    """Refuse an archive that would unpack to more than its size, or whose checksums do not fit."""
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        is_packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if is_packed or sum(entry.file_size for entry in entries) > source.stat().st_size:
            raise ModelFileError(
                f"{source} is compressed, or larger unpacked than on disk; weights are stored "
                f"without compression. {hint}"
            )
        if any(
            entry.filename.endswith(".pkl") and entry.file_size > MAX_PICKLE_BYTES
            for entry in entries
        ):
            raise ModelFileError(
                f"{source} describes its tensors in more than {MAX_PICKLE_BYTES:,} bytes. {hint}"
            )
        damaged = archive.testzip()
    if damaged is not None:
        raise ModelFileError(
            f"{source} is damaged: the checksum of {damaged} does not match. {hint}"
        )


def _iter_tensors(content: Any, depth: int = 0) -> Iterator[Tensor]:  # Any: of a pickle
    if isinstance(content, Tensor):
        yield content
    elif depth > MAX_PICKLE_DEPTH:
        raise ValueError("it is nested too deeply")
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _iter_tensors(value, depth + 1)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _iter_tensors(value, depth + 1)
