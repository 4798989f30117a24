"""Fetching a published Whisper model: only where a person asks for it, whole or not at all.

The address of each model holds its SHA-256; what does not have it is thrown away.
"""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from whisper import _MODELS

from core.progress import ProgressEvent, ProgressReporter
from training.asr.availability import WHISPER_MODELS, get_model_file
from training.asr.base import TranscribeError

STAGE = "download"
CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0


def download_whisper_model(name: str, models: Path, report: ProgressReporter) -> Path:
    """Fetch a published model into `models`, going on where an earlier attempt stopped.

    Returns its file, which is not fetched again.  Raises TranscribeError.
    """
    if name not in _MODELS:
        raise TranscribeError(
            f"There is no published Whisper model {name!r}; there are {', '.join(WHISPER_MODELS)}."
        )
    path = get_model_file(models, name)
    if path.is_file():
        return path
    url = _MODELS[name]
    part = path.with_name(f"{path.name}.part")
    models.mkdir(parents=True, exist_ok=True)
    try:
        _download(url, part, report)
    except (OSError, HTTPException) as error:
        host = url.split("/")[2]
        raise TranscribeError(
            f"{path.name} did not come from {host} ({error}). Check the network and try again; it "
            "goes on from what has arrived. Or put the file there yourself."
        ) from error
    wanted = url.split("/")[-2]
    if _compute_sha256(part) != wanted:
        part.unlink()
        raise TranscribeError(f"{path.name} came damaged and was removed. Try again.")
    part.replace(path)
    return path


def _download(url: str, part: Path, report: ProgressReporter) -> None:
    """Bring what is missing of a file."""
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:  # there is no more: all has arrived
            return
        raise
    with answer, part.open("ab") as file:
        if answer.status != 206 and there:  # the place does not go on where it stopped
            file.truncate(0)
            there = 0
        rest = answer.headers.get("Content-Length")
        total = there + int(rest) if rest else None
        started, done = time.monotonic(), there
        while chunk := answer.read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            speed = (done - there) / max(time.monotonic() - started, 1e-3)
            data = {"bytes_per_s": speed, "eta_s": ((total or done) - done) / max(speed, 1.0)}
            report.emit(
                ProgressEvent(
                    kind="progress",
                    stage=STAGE,
                    done=done,
                    total=total,
                    message=part.stem,
                    data=data,
                )
            )
            report.check_cancelled()
        if total is not None and done < total:
            raise HTTPException(f"it broke off at {done:,} of {total:,} bytes")


def _compute_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
