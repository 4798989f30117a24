"""Download one published file: find it, resume, check its SHA-256."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils._headers import build_hf_headers as build_headers
from tqdm.std import tqdm

from core.errors import AppError, translate_write_errors
from core.files import sha256_file
from core.progress import ProgressEvent, ProgressReporter
from core.proxy_settings import check_proxy_usable
from tortoise.checkpoints.published import DownloadSource, PublishedFile

GITHUB_RAW_URL = "https://raw.githubusercontent.com"
STAGE = "download"
RETRY_ADVICE = "Download it again; the download is resumed."
IMPORT_HINT = "`testudo models import FOLDER` imports files."
_SHA256_DIGITS = 64


class PublishedFileError(AppError):
    """A file is not available or not as published; a retry does not help."""

    code = "not_published"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file on one server. sha256: "" where the server does not publish it."""

    source: DownloadSource
    url: str
    size: int
    version_tag: str
    sha256: str


class DownloadProgress:
    """Report bytes, speed and ETA of a download of several files.

    mirror: address that is asked in place of the Hugging Face hub, "" for the hub.
    """

    def __init__(self, total: int, report: ProgressReporter, mirror: str = "") -> None:
        self.total = total
        self.report = report
        self.mirror = mirror
        self.done = 0
        self._received_bytes = 0
        self._started = time.monotonic()

    def skip(self, count: int) -> None:
        """Count bytes that exist already or, if negative, have to be downloaded again."""
        self.done += count

    def add(self, count: int, name: str) -> None:
        """Count downloaded bytes.  Raises Cancelled when the download was stopped."""
        self.done += count
        self._received_bytes += count
        speed = self._received_bytes / max(time.monotonic() - self._started, 1e-3)
        data = {"bytes_per_s": speed, "eta_s": (self.total - self.done) / speed}
        self.report.emit(
            ProgressEvent(
                kind="progress",
                stage=STAGE,
                done=self.done,
                total=self.total,
                message=name,
                data=data,
            )
        )
        self.report.check_cancelled()


def find_remote_files(file: PublishedFile, mirror: str = "") -> Iterator[RemoteFile]:
    """Yield the file on each server that has it, in order of preference.

    mirror: address that is asked in place of the Hugging Face hub.  Raises AppError where no server
    has it or can be reached.
    """
    if is_offline_mode():
        raise AppError(
            "HF_HUB_OFFLINE is set, so downloads are off. Unset it, or import files that you "
            "already have.",
            code="offline",
            cli_hint=IMPORT_HINT,
        )
    check_proxy_usable(os.environ)
    problems, gone, found = [], True, False
    for source in file.sources:
        try:
            remote = _request_metadata(file, source, mirror)
        except (httpx2.HTTPError, OSError) as error:
            problems.append(_describe_http_error(source, error, mirror))
            gone = gone and _is_not_found(error)
            continue
        found = True
        yield remote
    if not found:
        raise (PublishedFileError if gone else AppError)(
            f"{file.name} cannot be downloaded: {'; '.join(problems)}. Check the network and "
            "the mirror in Settings (or HF_ENDPOINT), then try again.",
            code="not_published" if gone else "hub_unreachable",
        )


def download_file(file: PublishedFile, folder: Path, meter: DownloadProgress) -> Path:
    """Download one file into `folder`, resuming an earlier attempt, and check its SHA-256.

    Raises AppError. A broken connection leaves a partial file to resume, a wrong file nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first_error: AppError | None = None
    for remote in find_remote_files(file, meter.mirror):
        try:
            return _download_from(remote, file, folder, meter)
        except AppError as error:
            first_error = first_error or error
    raise first_error or AppError(f"{file.name} is not available.")


def _download_from(
    remote: RemoteFile, file: PublishedFile, folder: Path, meter: DownloadProgress
) -> Path:
    part = folder / f"{file.name}.{remote.version_tag}.part"
    for stale in set(folder.glob(f"{file.name}.*.part")) - {part}:
        stale.unlink()  # of another version of the file
    with translate_write_errors(part), _delete_part_on_full_disk(part), part.open("a+b") as stream:
        _resume_download(remote, file.name, _ProgressFile(stream, file.name, meter))
    meter.skip(remote.size - part.stat().st_size)  # where the server did not send the size
    actual = sha256_file(part)
    expected = {sum for sum in (file.sha256, remote.sha256) if sum}
    if expected - {actual}:
        part.unlink()
        meter.skip(-remote.size)
        raise PublishedFileError(
            f"{file.name} from {remote.source.repo} is not the published file: its sha256 is "
            f"{actual}, not {' or '.join(sorted(expected - {actual}))}. It was deleted. Try again "
            "later, or import a copy that you trust.",
            code="wrong_hash",
            cli_hint=IMPORT_HINT,
        )
    whole = folder / file.name
    part.replace(whole)
    return whole


@contextmanager
def _delete_part_on_full_disk(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
        raise


def _resume_download(remote: RemoteFile, name: str, stream: _ProgressFile) -> None:
    present = stream.tell()
    if present > remote.size:  # the partial file is of another version
        present = 0
        stream.seek(0)
        stream.truncate()
    stream.meter.skip(present)
    mirror = stream.meter.mirror
    headers = build_headers(token=_get_token(remote.source, mirror))
    try:
        http_get(
            remote.url,
            stream,  # type: ignore[arg-type]  # has only the methods that http_get calls
            resume_size=present,
            headers=headers,
            expected_size=remote.size,
            tqdm_class=_SilentProgressBar,
        )
    except HfHubHTTPError as error:
        raise AppError(
            f"{name}: {_describe_http_error(remote.source, error, mirror)}. {RETRY_ADVICE}"
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the network
        here = stream.tell()
        raise AppError(
            f"The connection to {urlsplit(remote.url).netloc} broke at {here} of {remote.size} "
            f"bytes of {name}. {RETRY_ADVICE}",
            code="download_broke",
        ) from error


def _get_token(source: DownloadSource, mirror: str) -> bool | None:
    """Return False where the token of the hub must not be sent."""
    return False if source.in_source or mirror else None


def _request_metadata(file: PublishedFile, source: DownloadSource, mirror: str) -> RemoteFile:
    if source.in_source:
        url = f"{GITHUB_RAW_URL}/{source.repo}/{source.revision}/{quote(source.path)}"
    else:
        url = hf_hub_url(
            source.repo, source.path, revision=source.revision, endpoint=mirror or None
        )
    metadata = get_hf_file_metadata(url, token=_get_token(source, mirror), endpoint=mirror or None)
    tag = (metadata.etag or source.revision)[:16]
    is_sha256 = len(metadata.etag or "") == _SHA256_DIGITS and not source.in_source
    return RemoteFile(
        source=source,
        url=url,  # not the redirect: its signature may expire during a long download
        size=file.size if metadata.size is None else metadata.size,
        version_tag="".join(letter for letter in tag if letter.isalnum()),
        sha256=str(metadata.etag) if is_sha256 else "",
    )


def _is_not_found(error: Exception) -> bool:
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404, 410)


def _describe_http_error(source: DownloadSource, error: Exception, mirror: str) -> str:
    hub = mirror or constants.ENDPOINT
    host = urlsplit(GITHUB_RAW_URL if source.in_source else hub).netloc
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"{host} answers {status} for {source.path} of {source.repo}"
    return f"{host} cannot be reached ({error})"


class _ProgressFile:
    """A partial file that reports the bytes written to it."""

    def __init__(self, stream: BufferedRandom, name: str, meter: DownloadProgress) -> None:
        self.stream = stream
        self.name = name
        self.meter = meter
        stream.seek(0, 2)

    def write(self, chunk: bytes) -> int:
        written = self.stream.write(chunk)
        self.meter.add(written, self.name)
        return written

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, offset: int) -> int:
        self.meter.skip(offset - self.stream.tell())
        return self.stream.seek(offset)

    def truncate(self) -> int:
        return self.stream.truncate()


class _SilentProgressBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """Turn the progress bar of huggingface_hub off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: the arguments of tqdm
        super().__init__(*args, **{**kwargs, "disable": True})
