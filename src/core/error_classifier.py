"""What gives a cause away: the names, words and error numbers of what was raised.

The words of refusals are our own; the tests raise each of them with the code that says it.
"""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from core.error_catalog import ERROR_CATALOG, ErrorInfo
from core.errors import AppError, describe_os_error


@dataclass(frozen=True, kw_only=True)
class ErrorPattern:
    """One way in which a cause shows: the error is of one of the kinds, and its message fits."""

    cause: str
    exception_names: frozenset[str]  # names of exception classes or their bases; empty: any
    message_regex: str  # a regular expression; "": any message

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.message_regex, re.IGNORECASE | re.DOTALL)

    def matches(self, names: Set[str], message: str) -> bool:
        """Say whether an error with these class names and this message shows the cause."""
        return (not self.exception_names or bool(self.exception_names & names)) and bool(
            self._pattern.search(message)
        )


def _make_pattern(cause: str, kinds: str = "", words: str = "") -> ErrorPattern:
    return ErrorPattern(cause=cause, exception_names=frozenset(kinds.split()), message_regex=words)


ERROR_PATTERNS = (  # the first that fits decides
    _make_pattern("cancelled", "Cancelled KeyboardInterrupt CancelledError"),
    # memory
    _make_pattern("out_of_memory", "OutOfMemoryError"),
    _make_pattern("out_of_memory", "", r"(cuda|hip|mps|xpu)( backend)?( error:)? out of memory"),
    _make_pattern("out_of_memory", "", r"not enough GPU video memory|memory of the device is full"),
    _make_pattern("out_of_host_memory", "MemoryError"),
    _make_pattern(
        "out_of_host_memory", "RuntimeError", r"DefaultCPUAllocator|can't allocate memory"
    ),
    _make_pattern("out_of_host_memory", "AppError", r"memory of this machine is full"),
    # hardware and the torch that was built for it
    _make_pattern(
        "wrong_cuda_build", "", r"no kernel image is available|not compiled with \w+ enabled"
    ),
    _make_pattern("old_driver", "", r"driver.{0,40}(too old|insufficient)|found no nvidia driver"),
    _make_pattern(
        "gpu_lost",
        "",
        r"unspecified launch failure|device-side assert|gpu is lost|GPU has "
        r"fallen off|(cuda|cublas|cudnn|hip|nccl)[\w ]{0,20} error|CUBLAS_STATUS|CUDNN_STATUS",
    ),
    _make_pattern("no_device", "", r"There is no device "),
    _make_pattern(
        "torch_pair",
        "ImportError OSError",
        r"torchaudio.*(undefined symbol|cannot open|not "
        r"found|failed)|(undefined symbol|cannot open).*torchaudio",
    ),
    _make_pattern("torch_pair", "", r"PyTorch and TorchAudio were compiled with different"),
    _make_pattern(
        "torch_broken",
        "ImportError OSError",
        r"lib(torch|c10|cud|cublas|nv|amdhip)\w*|"
        r"No module named '?torch'?$|(DLL load failed|WinError 126|WinError 127)|torch/lib",
    ),
    _make_pattern("missing_package", "ModuleNotFoundError"),
    # the network
    _make_pattern("offline", "", r"HF_HUB_OFFLINE|OfflineModeIsEnabled|Only Load Models Locally"),
    _make_pattern(
        "wrong_hash",
        "",
        r"is not the published file: its sha256|is not what was written: its "
        r"sha256",
    ),
    _make_pattern("not_published", "PublishedFileError"),
    _make_pattern("download_broke", "", r"The connection to \S+ broke at"),
    _make_pattern(
        "hub_unreachable", "AppError", r"cannot be fetched: .*(cannot be reached|answers)"
    ),
    _make_pattern("hub_unreachable", "gaierror ConnectError ConnectTimeout"),
    # disk
    _make_pattern(
        "no_disk", "AppError ModelFileError", r"the disk is full|\bGB free; .* are needed"
    ),
    # weights
    _make_pattern(
        "missing_weights",
        "",
        r"There are no weights |There is no bundle at|is not enough to "
        r"speak with",
    ),
    _make_pattern(
        "incomplete_weights",
        "",
        r"cannot speak\. Fetch the bundle|so it is not a whole bundle"
        r"|lacks .* and cannot speak",
    ),
    _make_pattern(
        "bundle_incompatible",
        "",
        r"does not fit the \w+ that is described|this program reads "
        r"format|this program speaks networks|this program walks noise|cannot be blended\.|"
        r"these weights are |belongs? to another|no vocoder|The bundle has no ",
    ),
    _make_pattern("corrupt_weights", "ModelFileError TokenizerError SafetensorError", r""),
    _make_pattern(
        "bad_latents",
        "",
        r"latents in .* (cannot be used|are larger)|not a readable speaker "
        r"file|no pair of latents",
    ),
    # clips and voices
    _make_pattern("missing_ffmpeg", "", r"ffmpeg, which is not installed|No such file.*'ffmpeg'"),
    _make_pattern("clip_too_short", "", r"lasts [\d.]+ s; (at least|conditioning needs)"),
    _make_pattern("clip_too_long", "", r"lasts [\d.,]+ minutes; at most|was not decoded within"),
    _make_pattern("silent_clip", "", r"is silent: nothing in it"),
    _make_pattern(
        "unsupported_format",
        "",
        r"Clips cannot be written as|would not be taken for a clip|"
        r"is not a format|unsupported format",
    ),
    _make_pattern("missing_voice", "", r"There is no voice |No voice was named"),
    _make_pattern("voice_without_clips", "", r"has no clips"),
    _make_pattern(
        "no_record", "", r"carries no settings|holds no settings|settings in .* are not ones"
    ),
    _make_pattern("missing_file", "ClipError", r"No such file"),
    _make_pattern("bad_clip", "ClipError", r""),
    _make_pattern("bad_clip", "", r"cannot be read as sound|holds samples that are not numbers"),
    # texts
    _make_pattern("empty_text", "", r"The text is empty|No text was given"),
    _make_pattern("unspeakable", "", r"There is nothing to speak in"),
    _make_pattern("text_too_long", "", r"in one go\. Split it|tokens; these weights speak at most"),
    # numbers
    _make_pattern("not_finite", "FloatingPointError"),
    _make_pattern("not_finite", "", r"numbers that are not finite|answered with NaN"),
    # the studio's own files, its door and its jobs
    _make_pattern("bad_settings", "", r"settings\.yaml"),
    _make_pattern(
        "journal_damaged", "DatabaseError", r"malformed|not a database|disk image|corrupt"
    ),
    _make_pattern("busy", "", r"database is locked|already (open|running) in another"),
    _make_pattern("worker_died", "BrokenProcessPool EOFError ConnectionResetError WorkerDied"),
    _make_pattern(
        "upload_too_large",
        "",
        r"(upload|file|body).{0,80} larger than|exceeds? the maximum "
        r"(allowed )?file size",
    ),
    _make_pattern("login_needed", "", r"not authenticated|login (is )?needed|log in first"),
    _make_pattern("bad_name", "AppError", r"cannot name a "),
    _make_pattern("bad_request", "ValidationError", r""),
    _make_pattern(
        "bad_request",
        "AppError",
        r"There is no preset|; it must be |means nothing here|has "
        r"no setting",
    ),
    _make_pattern("name_taken", "AppError", r"There is already a"),
)

ERRNO_TO_CAUSE: Mapping[int, str] = MappingProxyType(
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


__all__ = [
    "ERROR_CATALOG",
    "ErrorInfo",
    "classify_error",
    "format_traceback",
    "format_user_message",
    "get_error_info",
]

REFUSED, CRASHED = "refused", "crashed"


def classify_error(error: BaseException) -> str:
    """Return the key of the catalogue that says why this was raised.

    What an error says by itself comes before what it was raised from. A refusal of no known kind
    is "refused": its own message says what to do. Anything else is "crashed": a mistake of ours.
    """
    links = list(_iter_exception_chain(error))
    for link in links:
        if found := _match_error(link):
            return found
    return REFUSED if any(isinstance(link, AppError) for link in links) else CRASHED


def get_error_info(key: str) -> ErrorInfo:
    """Return a cause by its key; an unknown key, as of a newer version, is a mistake of ours."""
    return ERROR_CATALOG.get(key, ERROR_CATALOG[CRASHED])


def format_user_message(error: BaseException) -> str:
    """Say in a sentence or two what happened and what to do; never a trace, never nothing.

    A refusal speaks for itself; of anything else, the catalogue does.
    """
    if isinstance(error, AppError) and str(error):
        return str(error)
    cause = ERROR_CATALOG[classify_error(error)]
    if isinstance(error, OSError) and error.filename is not None:
        return f"{cause.title}: {Path(str(error.filename)).name}: {describe_os_error(error)}"
    return f"{cause.title}. {cause.what_to_do}"


def format_traceback(error: BaseException) -> str:
    """Return what a report should carry: the whole trace, for whoever mends it."""
    return "".join(traceback.format_exception(error))


def _iter_exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and so on; a ring ends where it began."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _match_error(link: BaseException) -> str:
    """Return the cause that one error of a chain gives away, or ""."""
    if isinstance(link, AppError) and link.cause:
        return link.cause
    names = {kind.__name__ for kind in type(link).__mro__}
    message = str(link)
    for sign in ERROR_PATTERNS:
        if sign.matches(names, message):
            return sign.cause
    return ERRNO_TO_CAUSE.get(link.errno or 0, "") if isinstance(link, OSError) else ""
