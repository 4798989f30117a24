"""The code of an exception, and the entry of the error catalogue that the user is shown."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from core.errors import AppError, CodedError, describe_os_error

REFUSED, CRASHED = "refused", "crashed"
CATALOG_FILE = Path(__file__).with_name("error_catalog.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """One entry of the error catalogue. fix: the command that fixes it, if any."""

    title: str
    why: str
    what_to_do: str
    fix: str = ""


@cache
def load_error_catalog() -> Mapping[str, ErrorInfo]:
    """Return the entries by code; read at the first error, since most programs meet none."""
    import yaml

    entries = yaml.safe_load(CATALOG_FILE.read_text(encoding="utf-8"))
    return MappingProxyType({code: ErrorInfo(**entry) for code, entry in entries.items()})


FOREIGN_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "Cancelled": "cancelled",
        "KeyboardInterrupt": "cancelled",
        "CancelledError": "cancelled",
        "OutOfMemoryError": "out_of_memory",
        "MemoryError": "out_of_host_memory",
        "OfflineModeIsEnabled": "offline",
        "gaierror": "hub_unreachable",
        "ConnectError": "hub_unreachable",
        "ConnectTimeout": "hub_unreachable",
        "SafetensorError": "corrupt_weights",
        "FloatingPointError": "not_finite",
        "BrokenProcessPool": "worker_died",
        "EOFError": "worker_died",
        "ConnectionResetError": "worker_died",
    }
)
"""Codes of exceptions of other libraries, by class name: importing the libraries is slow."""

FOREIGN_MESSAGES = (  # class names ("": any), message, code; the first match decides
    ("", r"(cuda|hip|mps|xpu)( backend)?( error:)? out of memory", "out_of_memory"),
    ("", r"not enough GPU video memory", "out_of_memory"),
    ("RuntimeError", r"DefaultCPUAllocator|can't allocate memory", "out_of_host_memory"),
    ("", r"no kernel image is available|not compiled with \w+ enabled", "wrong_cuda_build"),
    ("", r"driver.{0,40}(too old|insufficient)|found no nvidia driver", "old_driver"),
    ("", r"unspecified launch failure|device-side assert|gpu is lost", "gpu_lost"),
    ("", r"GPU has fallen off|CUBLAS_STATUS|CUDNN_STATUS", "gpu_lost"),
    ("", r"(cuda|cublas|cudnn|hip|nccl)[\w ]{0,20} error", "gpu_lost"),
    ("ImportError OSError", r"torchaudio.*(undefined symbol|cannot open|not found)", "torch_pair"),
    ("ImportError OSError", r"torchaudio.*failed", "torch_pair"),
    ("ImportError OSError", r"(undefined symbol|cannot open).*torchaudio", "torch_pair"),
    ("", r"PyTorch and TorchAudio were compiled with different", "torch_pair"),
    ("ImportError OSError", r"lib(torch|c10|cud|cublas|nv|amdhip)\w*|torch/lib", "torch_broken"),
    ("ImportError OSError", r"No module named '?torch'?$", "torch_broken"),
    ("ImportError OSError", r"DLL load failed|WinError 126|WinError 127", "torch_broken"),
    ("ModuleNotFoundError", "", "missing_package"),
    ("", r"HF_HUB_OFFLINE|OfflineModeIsEnabled", "offline"),
    ("FileNotFoundError", r"No such file.*'ffmpeg'", "missing_ffmpeg"),
    ("DatabaseError", r"malformed|not a database|disk image|corrupt", "journal_damaged"),
    ("DatabaseError", r"database is locked", "busy"),
    ("DatabaseError", r"disk is full", "no_disk"),
    ("DatabaseError", r"disk I/O error", "disk_failing"),
    ("DatabaseError", r"readonly database|unable to open", "permission"),
    ("", r"exceeds? the maximum (allowed )?file size", "upload_too_large"),
)
"""What torch, SQLite and the system say in messages of exceptions that have no class of their own.
"""

CODE_BY_ERRNO: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "no_disk",
        errno.EDQUOT: "no_disk",
        errno.ENOMEM: "out_of_host_memory",
        errno.EACCES: "permission",
        errno.EPERM: "permission",
        errno.EROFS: "read_only_folder",
        errno.ENAMETOOLONG: "name_too_long",
        errno.EADDRINUSE: "port_taken",
        errno.EADDRNOTAVAIL: "bad_address",
        errno.EMFILE: "too_many_files",
        errno.ENFILE: "too_many_files",
        errno.ENOENT: "missing_file",
        errno.ENOTDIR: "missing_file",
        errno.EISDIR: "missing_file",
        errno.EPIPE: "worker_died",
        errno.ECONNREFUSED: "hub_unreachable",
        errno.ENETUNREACH: "hub_unreachable",
        errno.EHOSTUNREACH: "hub_unreachable",
        errno.ETIMEDOUT: "hub_unreachable",
        errno.EIO: "disk_failing",
    }
)


def classify_error(error: BaseException) -> str:
    """Return the code of an exception, a key of the catalogue.

    A code set on it or on its cause has priority over the codes of the classes. An AppError without
    a code is "refused": its message says what to do. Anything else is "crashed": a bug of this
    program.
    """
    chain = list(_iter_exception_chain(error))
    for link in chain:
        code = vars(link).get("code", "") if isinstance(link, CodedError) else _map_foreign(link)
        if code:
            return code
    for link in chain:
        if isinstance(link, CodedError) and link.code:
            return link.code
        if type(link).__name__ == "ValidationError":  # pydantic's
            return "bad_request"
    return REFUSED if any(isinstance(link, AppError) for link in chain) else CRASHED


def get_error_info(code: str) -> ErrorInfo:
    """Return the entry of a code; an unknown code, as of a newer version, is shown as a bug."""
    catalog = load_error_catalog()
    return catalog.get(code, catalog[CRASHED])


def format_user_message(error: BaseException) -> str:
    """Return in a sentence or two what happened and what to do; never a trace, never nothing."""
    if isinstance(error, AppError) and str(error):
        return str(error)
    info = load_error_catalog()[classify_error(error)]
    if isinstance(error, OSError) and error.filename is not None:
        return f"{info.title}: {Path(str(error.filename)).name}: {describe_os_error(error)}"
    return f"{info.title}. {info.what_to_do}"


def format_traceback(error: BaseException) -> str:
    """Return the whole traceback, for a bug report."""
    return "".join(traceback.format_exception(error))


def _iter_exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and so on; a ring ends where it began."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _map_foreign(error: BaseException) -> str:
    """Return the code of an exception of another library, or ""."""
    names = [cls.__name__ for cls in type(error).__mro__]
    for name in names:
        if name in FOREIGN_CLASSES:
            return FOREIGN_CLASSES[name]
    for classes, message, code in FOREIGN_MESSAGES:
        is_of_class = not classes or not set(classes.split()).isdisjoint(names)
        if is_of_class and re.search(message, str(error), re.IGNORECASE | re.DOTALL):
            return code
    return CODE_BY_ERRNO.get(error.errno or 0, "") if isinstance(error, OSError) else ""
