"""What gives a cause away: the names, words and error numbers of what was raised.

The words of refusals are our own; the tests raise each of them with the code that says it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Sign:
    """One way in which a cause shows: the error is of one of the kinds, and its message fits."""

    cause: str
    kinds: frozenset[str]  # names of exception classes or their bases; empty: any
    words: str  # a regular expression; "": any message

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.words, re.IGNORECASE | re.DOTALL)

    def fits(self, names: Set[str], message: str) -> bool:
        """Say whether an error with these class names and this message shows the cause."""
        return (not self.kinds or bool(self.kinds & names)) and bool(self._pattern.search(message))


def _sign(cause: str, kinds: str = "", words: str = "") -> Sign:
    return Sign(cause=cause, kinds=frozenset(kinds.split()), words=words)


SIGNS = (  # the first that fits decides
    _sign("cancelled", "Cancelled KeyboardInterrupt CancelledError"),
    # memory
    _sign("out_of_memory", "OutOfMemoryError"),
    _sign("out_of_memory", "", r"(cuda|hip|mps|xpu)( backend)?( error:)? out of memory"),
    _sign("out_of_memory", "", r"not enough GPU video memory|memory of the device is full"),
    _sign("out_of_host_memory", "MemoryError"),
    _sign("out_of_host_memory", "RuntimeError", r"DefaultCPUAllocator|can't allocate memory"),
    _sign("out_of_host_memory", "StudioError", r"memory of this machine is full"),
    # hardware and the torch that was built for it
    _sign("wrong_cuda_build", "", r"no kernel image is available|not compiled with \w+ enabled"),
    _sign("old_driver", "", r"driver.{0,40}(too old|insufficient)|found no nvidia driver"),
    _sign("gpu_lost", "", r"unspecified launch failure|device-side assert|gpu is lost|GPU has "
          r"fallen off|(cuda|cublas|cudnn|hip|nccl)[\w ]{0,20} error|CUBLAS_STATUS|CUDNN_STATUS"),
    _sign("no_device", "", r"There is no device "),
    _sign("torch_pair", "ImportError OSError", r"torchaudio.*(undefined symbol|cannot open|not "
          r"found|failed)|(undefined symbol|cannot open).*torchaudio"),
    _sign("torch_pair", "", r"PyTorch and TorchAudio were compiled with different"),
    _sign("torch_broken", "ImportError OSError", r"lib(torch|c10|cud|cublas|nv|amdhip)\w*|"
          r"No module named '?torch'?$|(DLL load failed|WinError 126|WinError 127)|torch/lib"),
    _sign("missing_package", "ModuleNotFoundError"),
    # the network
    _sign("offline", "", r"HF_HUB_OFFLINE|OfflineModeIsEnabled|Only Load Models Locally"),
    _sign("wrong_hash", "", r"is not the published file: its sha256|is not what was written: its "
          r"sha256"),
    _sign("not_published", "NotAsPublished"),
    _sign("download_broke", "", r"The connection to \S+ broke at"),
    _sign("hub_unreachable", "StudioError", r"cannot be fetched: .*(cannot be reached|answers)"),
    _sign("hub_unreachable", "gaierror ConnectError ConnectTimeout"),
    # disk
    _sign("no_disk", "StudioError BundleError", r"the disk is full|\bGB free; .* are needed"),
    # weights
    _sign("missing_weights", "", r"There are no weights |There is no bundle at|is not enough to "
          r"speak with"),
    _sign("incomplete_weights", "", r"cannot speak\. Fetch the bundle|so it is not a whole bundle"
          r"|lacks .* and cannot speak"),
    _sign("bundle_incompatible", "", r"does not fit the \w+ that is described|this program reads "
          r"format|this program speaks networks|this program walks noise|cannot be blended\.|"
          r"these weights are |belongs? to another|no vocoder|The bundle has no "),
    _sign("corrupt_weights", "BundleError TokenizerError SafetensorError", r""),
    _sign("bad_latents", "", r"latents in .* (cannot be used|are larger)|not a readable speaker "
          r"file|no pair of latents"),
    # clips and voices
    _sign("missing_ffmpeg", "", r"ffmpeg, which is not installed|No such file.*'ffmpeg'"),
    _sign("clip_too_short", "", r"lasts [\d.]+ s; (at least|conditioning needs)"),
    _sign("clip_too_long", "", r"lasts [\d.,]+ minutes; at most|was not decoded within"),
    _sign("silent_clip", "", r"is silent: nothing in it"),
    _sign("unsupported_format", "", r"Clips cannot be written as|would not be taken for a clip|"
          r"is not a format|unsupported format"),
    _sign("missing_voice", "", r"There is no voice |No voice was named"),
    _sign("voice_without_clips", "", r"has no clips"),
    _sign("no_record", "", r"carries no settings|holds no settings|settings in .* are not ones"),
    _sign("missing_file", "ClipError", r"No such file"),
    _sign("bad_clip", "ClipError", r""),
    _sign("bad_clip", "", r"cannot be read as sound|holds samples that are not numbers"),
    # texts
    _sign("empty_text", "", r"The text is empty|No text was given"),
    _sign("unspeakable", "", r"There is nothing to speak in"),
    _sign("text_too_long", "", r"in one go\. Split it|tokens; these weights speak at most"),
    # numbers
    _sign("not_finite", "FloatingPointError"),
    _sign("not_finite", "", r"numbers that are not finite|answered with NaN"),
    # the studio's own files, its door and its jobs
    _sign("bad_settings", "", r"settings\.yaml"),
    _sign("journal_damaged", "DatabaseError", r"malformed|not a database|disk image|corrupt"),
    _sign("busy", "", r"database is locked|already (open|running) in another"),
    _sign("worker_died", "BrokenProcessPool EOFError ConnectionResetError WorkerDied"),
    _sign("upload_too_large", "", r"(upload|file|body).{0,80} larger than|exceeds? the maximum "
          r"(allowed )?file size"),
    _sign("login_needed", "", r"not authenticated|login (is )?needed|log in first"),
    _sign("bad_name", "StudioError", r"cannot name a "),
    _sign("bad_request", "PlainError", r""),
    _sign("bad_request", "StudioError", r"There is no preset|; it must be |means nothing here|has "
          r"no setting"),
    _sign("name_taken", "StudioError", r"There is already a"),
)  # fmt: skip

ERRNO_SIGNS: Mapping[int, str] = MappingProxyType(
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
