"""Download speech recognition models: .pt files of openai-whisper, repositories of the hub."""

from __future__ import annotations

import io
import os
import time
import urllib.error
import urllib.request
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from tqdm.std import tqdm
from whisper import _MODELS

from core.errors import AppError
from core.files import commit_folder, fsync_file, fsync_folder, sha256_file
from core.progress import ProgressEvent, ProgressReporter
from core.proxy_settings import check_proxy_usable
from training.asr.availability import WHISPER_MODELS, get_model_file
from training.asr.base import TranscribeError

STAGE = "download"
CONFIG_PATTERNS = ("*.json", "*.txt", "*.model")
CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0


def download_whisper_model(name: str, models: Path, report: ProgressReporter) -> Path:
    """Download a published model into `models`; a partial download is continued.

    Returns its file, which is verified by the SHA-256 in its address and not downloaded again.
    Raises TranscribeError.
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
    _check_proxy()
    try:
        _download(url, part, report)
    except (OSError, HTTPException) as error:
        host = url.split("/")[2]
        raise TranscribeError(
            f"{path.name} could not be downloaded from {host} ({error}). Check the network and "
            "try again; the download continues. Or put the file there yourself."
        ) from error
    wanted = url.split("/")[-2]
    if sha256_file(part) != wanted:
        part.unlink()
        raise TranscribeError(f"{path.name} was damaged in the download and removed. Try again.")
    fsync_file(part)
    part.replace(path)
    fsync_folder(path.parent)
    return path


def _download(url: str, part: Path, report: ProgressReporter) -> None:
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:  # the file is complete
            return
        raise
    with answer, part.open("ab") as file:
        if answer.status != 206 and there:  # the server ignores ranges
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
            raise HTTPException(f"it stopped at {done:,} of {total:,} bytes")


def download_hugging_face_model(
    repository: str, models: Path, report: ProgressReporter, mirror: str = ""
) -> Path:
    """Download a model of the Hugging Face hub, such as openai/whisper-base, into `models`.

    mirror: address that is asked in place of the hub, without the hub's token.  Returns its folder,
    named like the repository without its owner; a partial download is continued. Raises
    TranscribeError.
    """
    folder = models / repository.rsplit("/")[-1]
    if any((folder / name).is_file() for name in ("model.safetensors", "pytorch_model.bin")):
        return folder
    _check_proxy()
    part = folder.with_name(f"{folder.name}.part")
    fetch = partial(
        snapshot_download,
        repository,
        local_dir=part,
        tqdm_class=_make_progress_bar(folder.name, report),
        endpoint=mirror or None,
        token=False if mirror else None,
    )
    try:
        fetch(allow_patterns=[*CONFIG_PATTERNS, "model*.safetensors*"])
        if not list(part.glob("model*.safetensors")):
            fetch(allow_patterns="pytorch_model*")
    except (OSError, HTTPException, HfHubHTTPError, HFValidationError, RuntimeError) as error:
        raise TranscribeError(
            f"{repository} could not be downloaded ({error}). Check its name and the network and "
            "try again; the download continues. Or put its folder there yourself."
        ) from error
    commit_folder(part, folder)
    return folder


def _check_proxy() -> None:
    try:
        check_proxy_usable(os.environ)
    except AppError as error:
        raise TranscribeError(str(error)) from error


def _make_progress_bar(name: str, report: ProgressReporter) -> Any:  # Any: tqdm has no types
    class ProgressBar(tqdm):  # type: ignore[misc]
        """Report the bytes that huggingface_hub counts; cancellation ends the download."""

        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **{**options, "disable": False, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> Any:
            shown = super().update(n)
            if self.unit == "B":
                report.emit(
                    ProgressEvent(
                        kind="progress",
                        stage=STAGE,
                        done=int(self.n),
                        total=int(self.total) if self.total else None,
                        message=name,
                    )
                )
            report.check_cancelled()
            return shown

    return ProgressBar
