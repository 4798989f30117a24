"""One published file over the network: found, fetched on from where it stopped, and checked."""

from __future__ import annotations

import errno
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
from core.progress import ProgressEvent, ProgressReporter
from tortoise.checkpoints.layout import compute_sha256
from tortoise.checkpoints.published import DownloadSource, PublishedFile

GITHUB_RAW_URL = "https://raw.githubusercontent.com"
STAGE = "download"
RETRY_ADVICE = "Run the same command again; it goes on from what has arrived."
_SHA256_DIGITS = 64


class PublishedFileError(AppError):
    """A file is nowhere to be had, or not as it was published; trying again will not help."""

    code = "not_published"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file as one place offers it. sha256 is "" where the place does not tell it."""

    source: DownloadSource
    url: str
    size: int
    version_tag: str
    sha256: str


class DownloadProgress:
    """Counts the bytes of a whole download and says how far it is and how long it will take."""

    def __init__(self, total: int, report: ProgressReporter) -> None:
        self.total = total
        self.report = report
        self.done = 0
        self._received_bytes = 0
        self._started = time.monotonic()

    def skip(self, count: int) -> None:
        """Count bytes that were there already, or, if negative, that have to come again."""
        self.done += count

    def add(self, count: int, name: str) -> None:
        """Count bytes that have arrived; raises Cancelled when the download was stopped."""
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


def find_remote_files(file: PublishedFile) -> Iterator[RemoteFile]:
    """Yield the file as each place offers it, in order of preference.

    Raises StudioError when no place has it, or none can be reached.
    """
    if is_offline_mode():
        raise AppError(
            "HF_HUB_OFFLINE is set, so nothing is fetched. Unset it, or take files that are "
            "already here with `testudo models import FOLDER`.",
            code="offline",
        )
    refusals, gone, found = [], True, False
    for place in file.sources:
        try:
            offer = _request_metadata(file, place)
        except (httpx2.HTTPError, OSError) as error:
            refusals.append(_describe_http_error(place, error))
            gone = gone and _is_not_found(error)
            continue
        found = True
        yield offer
    if not found:
        refusal = PublishedFileError if gone else AppError
        raise refusal(
            f"{file.name} cannot be fetched: {'; '.join(refusals)}. Check the network (and "
            "HF_ENDPOINT, if it is set), then run the same command again.",
            code="not_published" if gone else "hub_unreachable",
        )


def download_file(file: PublishedFile, folder: Path, meter: DownloadProgress) -> Path:
    """Fetch one file into `folder`, going on from an earlier attempt, and check it.

    Raises StudioError; a broken connection leaves the part that came, a wrong file leaves nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    refusal: AppError | None = None
    for offer in find_remote_files(file):
        try:
            return _download_from(offer, file, folder, meter)
        except AppError as error:
            refusal = refusal or error
    raise refusal or AppError(f"{file.name} is not offered anywhere.")


def _download_from(
    offer: RemoteFile, file: PublishedFile, folder: Path, meter: DownloadProgress
) -> Path:
    part = folder / f"{file.name}.{offer.version_tag}.part"
    for stale in set(folder.glob(f"{file.name}.*.part")) - {part}:
        stale.unlink()  # of another version of the file
    with translate_write_errors(part), _delete_part_on_full_disk(part), part.open("a+b") as stream:
        _resume_download(offer, file.name, _ProgressFile(stream, file.name, meter))
    arrived = part.stat().st_size
    meter.skip(offer.size - arrived)  # a place that did not tell the size
    actual = compute_sha256(part)
    wanted = {sum for sum in (file.sha256, offer.sha256) if sum}
    if wanted - {actual}:
        part.unlink()
        meter.skip(-offer.size)
        raise PublishedFileError(
            f"{file.name} from {offer.source.repo} is not the published file: its sha256 is "
            f"{actual}, not {' or '.join(sorted(wanted - {actual}))}. It was removed. Try again "
            "later, or take a copy you trust with `testudo models import FOLDER`.",
            code="wrong_hash",
        )
    whole = folder / file.name
    part.replace(whole)
    return whole


@contextmanager
def _delete_part_on_full_disk(part: Path) -> Iterator[None]:
    """Remove what came of a file when the disk cannot hold the rest."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
        raise


def _resume_download(offer: RemoteFile, name: str, stream: _ProgressFile) -> None:
    """Bring what is missing of a file."""
    present = stream.tell()
    if present > offer.size:  # more than there is: the attempt before was of something else
        present = 0
        stream.seek(0)
        stream.truncate()
    stream.meter.skip(present)
    headers = build_headers(token=False if offer.source.in_source else None)
    try:
        http_get(
            offer.url,
            stream,  # type: ignore[arg-type]  # it tells, seeks, truncates and writes, no more
            resume_size=present,
            headers=headers,
            expected_size=offer.size,
            tqdm_class=_SilentProgressBar,
        )
    except HfHubHTTPError as error:
        raise AppError(
            f"{name}: {_describe_http_error(offer.source, error)}. {RETRY_ADVICE}"
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # our own disk, not the network
        here = stream.tell()
        raise AppError(
            f"The connection to {urlsplit(offer.url).netloc} broke at {here} of {offer.size} "
            f"bytes of {name}. {RETRY_ADVICE}",
            code="download_broke",
        ) from error


def _request_metadata(file: PublishedFile, place: DownloadSource) -> RemoteFile:
    if place.in_source:
        url = f"{GITHUB_RAW_URL}/{place.repo}/{place.revision}/{quote(place.path)}"
    else:
        url = hf_hub_url(place.repo, place.path, revision=place.revision)
    told = get_hf_file_metadata(url, token=False if place.in_source else None)
    mark = (told.etag or place.revision)[:16]
    is_sum = len(told.etag or "") == _SHA256_DIGITS and not place.in_source
    return RemoteFile(
        source=place,
        url=url,  # not where it leads: a signed address runs out while a large file comes
        size=file.size if told.size is None else told.size,
        version_tag="".join(letter for letter in mark if letter.isalnum()),
        sha256=str(told.etag) if is_sum else "",
    )


def _is_not_found(error: Exception) -> bool:
    """Say whether a server answered that it does not have the file (or keeps it to itself)."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404, 410)


def _describe_http_error(place: DownloadSource, error: Exception) -> str:
    host = urlsplit(GITHUB_RAW_URL if place.in_source else constants.ENDPOINT).netloc
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"{host} answers {status} for {place.path} of {place.repo}"
    return f"{host} cannot be reached ({error})"


class _ProgressFile:
    """The part of a file, as the downloader writes it: counts what comes."""

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
    """The downloader's own progress bar, kept off the terminal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: the arguments of tqdm
        super().__init__(*args, **{**kwargs, "disable": True})
