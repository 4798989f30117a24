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

from jobs.report import Event, Reporter
from studio.errors import StudioError, writing_to
from tortoise.bundle import hash_content
from tortoise.published import Place, PublishedFile

SOURCE_ADDRESS = "https://raw.githubusercontent.com"
STAGE = "download"
AGAIN = "Run the same command again; it goes on from what has arrived."
_SHA256_DIGITS = 64


class NotAsPublished(StudioError):
    """A file is nowhere to be had, or not as it was published; trying again will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file as one place offers it. sha256 is "" where the place does not tell it."""

    place: Place
    url: str
    size: int
    mark: str
    sha256: str


class Meter:
    """Counts the bytes of a whole download and says how far it is and how long it will take."""

    def __init__(self, total: int, report: Reporter) -> None:
        self.total = total
        self.report = report
        self.done = 0
        self._arrived = 0
        self._started = time.monotonic()

    def skip(self, count: int) -> None:
        """Count bytes that were there already, or, if negative, that have to come again."""
        self.done += count

    def add(self, count: int, name: str) -> None:
        """Count bytes that have arrived; raises Cancelled when the download was stopped."""
        self.done += count
        self._arrived += count
        speed = self._arrived / max(time.monotonic() - self._started, 1e-3)
        data = {"bytes_per_s": speed, "eta_s": (self.total - self.done) / speed}
        self.report.emit(
            Event(
                kind="progress",
                stage=STAGE,
                done=self.done,
                total=self.total,
                message=name,
                data=data,
            )
        )
        self.report.check()


def offers(file: PublishedFile) -> Iterator[Offer]:
    """Yield the file as each place offers it, in order of preference.

    Raises StudioError when no place has it, or none can be reached.
    """
    if is_offline_mode():
        raise StudioError(
            "HF_HUB_OFFLINE is set, so nothing is fetched. Unset it, or take files that are "
            "already here with `testudo models import FOLDER`."
        )
    refusals, gone, found = [], True, False
    for place in file.places:
        try:
            offer = _ask(file, place)
        except (httpx2.HTTPError, OSError) as error:
            refusals.append(_why_not(place, error))
            gone = gone and _is_gone(error)
            continue
        found = True
        yield offer
    if not found:
        refusal = NotAsPublished if gone else StudioError
        raise refusal(
            f"{file.name} cannot be fetched: {'; '.join(refusals)}. Check the network (and "
            "HF_ENDPOINT, if it is set), then run the same command again."
        )


def fetch(file: PublishedFile, folder: Path, meter: Meter) -> Path:
    """Fetch one file into `folder`, going on from an earlier attempt, and check it.

    Raises StudioError; a broken connection leaves the part that came, a wrong file leaves nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    refusal: StudioError | None = None
    for offer in offers(file):
        try:
            return _fetch_from(offer, file, folder, meter)
        except StudioError as error:
            refusal = refusal or error
    raise refusal or StudioError(f"{file.name} is not offered anywhere.")


def _fetch_from(offer: Offer, file: PublishedFile, folder: Path, meter: Meter) -> Path:
    part = folder / f"{file.name}.{offer.mark}.part"
    for stale in set(folder.glob(f"{file.name}.*.part")) - {part}:
        stale.unlink()  # of another version of the file
    with writing_to(part), _freeing_a_full_disk(part), part.open("a+b") as stream:
        _go_on(offer, file.name, _MeteredFile(stream, file.name, meter))
    arrived = part.stat().st_size
    meter.skip(offer.size - arrived)  # a place that did not tell the size
    actual = hash_content(part)
    wanted = {sum for sum in (file.sha256, offer.sha256) if sum}
    if wanted - {actual}:
        part.unlink()
        meter.skip(-offer.size)
        raise NotAsPublished(
            f"{file.name} from {offer.place.repo} is not the published file: its sha256 is "
            f"{actual}, not {' or '.join(sorted(wanted - {actual}))}. It was removed. Try again "
            "later, or take a copy you trust with `testudo models import FOLDER`."
        )
    whole = folder / file.name
    part.replace(whole)
    return whole


@contextmanager
def _freeing_a_full_disk(part: Path) -> Iterator[None]:
    """Remove what came of a file when the disk cannot hold the rest."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
        raise


def _go_on(offer: Offer, name: str, stream: _MeteredFile) -> None:
    """Bring what is missing of a file."""
    present = stream.tell()
    if present > offer.size:  # more than there is: the attempt before was of something else
        present = 0
        stream.seek(0)
        stream.truncate()
    stream.meter.skip(present)
    headers = build_headers(token=False if offer.place.in_source else None)
    try:
        http_get(
            offer.url,
            stream,  # type: ignore[arg-type]  # it tells, seeks, truncates and writes, no more
            resume_size=present,
            headers=headers,
            expected_size=offer.size,
            tqdm_class=_NoBar,
        )
    except HfHubHTTPError as error:
        raise StudioError(f"{name}: {_why_not(offer.place, error)}. {AGAIN}") from error
    except (httpx2.HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # our own disk, not the network
        here = stream.tell()
        raise StudioError(
            f"The connection to {urlsplit(offer.url).netloc} broke at {here} of {offer.size} "
            f"bytes of {name}. {AGAIN}"
        ) from error


def _ask(file: PublishedFile, place: Place) -> Offer:
    if place.in_source:
        url = f"{SOURCE_ADDRESS}/{place.repo}/{place.revision}/{quote(place.path)}"
    else:
        url = hf_hub_url(place.repo, place.path, revision=place.revision)
    told = get_hf_file_metadata(url, token=False if place.in_source else None)
    mark = (told.etag or place.revision)[:16]
    is_sum = len(told.etag or "") == _SHA256_DIGITS and not place.in_source
    return Offer(
        place=place,
        url=url,  # not where it leads: a signed address runs out while a large file comes
        size=file.size if told.size is None else told.size,
        mark="".join(letter for letter in mark if letter.isalnum()),
        sha256=str(told.etag) if is_sum else "",
    )


def _is_gone(error: Exception) -> bool:
    """Say whether a server answered that it does not have the file (or keeps it to itself)."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404, 410)


def _why_not(place: Place, error: Exception) -> str:
    host = urlsplit(SOURCE_ADDRESS if place.in_source else constants.ENDPOINT).netloc
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"{host} answers {status} for {place.path} of {place.repo}"
    return f"{host} cannot be reached ({error})"


class _MeteredFile:
    """The part of a file, as the downloader writes it: counts what comes."""

    def __init__(self, stream: BufferedRandom, name: str, meter: Meter) -> None:
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


class _NoBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """The downloader's own progress bar, kept off the terminal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: the arguments of tqdm
        super().__init__(*args, **{**kwargs, "disable": True})
