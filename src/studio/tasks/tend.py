"""Clips are tended: cleaned into new files, checked for faults, judged by the classifier."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from jobs.plain import to_plain
from jobs.report import Reporter
from speech.background import power_of, speech_to_noise_db
from speech.cleanup import CleanOptions, clean
from speech.clip import Clip, ClipError
from speech.diagnose import Diagnosis, VoiceDiagnosis, diagnose, diagnose_voice, unreadable
from speech.files import read_clip, write_clip
from speech.loudness import SPEECH_LUFS, loudness_of, with_loudness
from studio.dropped import file_of
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout
from studio.tasks.fixer import fix
from studio.tasks.workshop import Workshop
from studio.utilities import (
    VOICEFIXER,
    CheckClip,
    Checked,
    CheckVoice,
    CleanClip,
    CleanedClip,
    JudgeClip,
    Judged,
)
from studio.voices import find_voice
from studio.weights import list_bundles

CLEANED = "cleaned"  # the folder below the results
PIECE = 220_000  # samples of 24 kHz that the classifier hears at once, as published
CLASSIFIER_RATE = 24_000


def clean_clip(workshop: Workshop, request: CleanClip, report: Reporter) -> CleanedClip:
    """Clean a clip into a new file below results/cleaned."""
    source = file_of(workshop.layout, request.clip)
    target = _new_name(workshop.layout, source)
    device = workshop.settings.voice_fixer_device
    return clean_file(source, target, request, device, report)


def clean_file(
    source: Path, target: Path, request: CleanClip, device: str, report: Reporter
) -> CleanedClip:
    """Clean a file into a new one.  device: where voicefixer computes."""
    started = time.monotonic()
    with refusing(ClipError):
        clip = read_clip(source)
    cleaned = cleaned_by(request, clip, device, report)
    with writing_to(target), refusing(ClipError):
        write_clip(target, replace(cleaned, name=target.name))
    return CleanedClip(
        clip=f"results/{CLEANED}/{target.name}",
        path=str(target),
        noise_db=(_noise_db(clip), _noise_db(cleaned)),
        lufs=(round(loudness_of(clip), 1), round(loudness_of(cleaned), 1)),
        seconds=round(time.monotonic() - started, 2),
    )


def cleaned_by(request: CleanClip, clip: Clip, device: str, report: Reporter) -> Clip:
    """Return the clip as the request wants it cleaned.  device: where voicefixer computes."""
    if request.method == VOICEFIXER:
        fixed = fix(clip, device, report)
        return with_loudness(fixed) if request.even_level else fixed
    with report.stage("clean"), refusing(ClipError):
        return clean(
            clip,
            CleanOptions(
                lower_db=request.lower_db,
                cut_hz=request.cut_hz,
                lufs=SPEECH_LUFS if request.even_level else None,
            ),
        )


def check_clip(workshop: Workshop, request: CheckClip, report: Reporter) -> Checked:
    """Say whether a clip is fit to clone from."""
    return checked(checked_file(file_of(workshop.layout, request.clip)))


def checked_file(path: Path) -> Diagnosis:
    """Look at one file; one that cannot be read is a finding too."""
    try:
        return diagnose(read_clip(path))
    except ClipError as cause:
        return unreadable(path.name, str(cause))


def check_voice(workshop: Workshop, request: CheckVoice, report: Reporter) -> Checked:
    """Say whether the clips of a voice are fit to clone from."""
    return checked(checked_voice(workshop.layout, request.voice, report))


def checked_voice(layout: Layout, name: str, report: Reporter) -> VoiceDiagnosis:
    """Look at each clip of a voice, and at all of them together."""
    voice = find_voice(layout, name)
    if not voice.clips:
        raise StudioError(f"{name} was kept without clips, so there is nothing to check.")
    clips, bad = [], []
    for path in report.track(voice.clips, "check"):
        try:
            clips.append(read_clip(path))
        except ClipError as cause:
            bad.append(unreadable(path.name, str(cause)))
    return diagnose_voice(name, clips, bad)


def checked(found: Diagnosis | VoiceDiagnosis) -> Checked:
    """Return findings in the form that crosses to the page."""
    clips = found.clips if isinstance(found, VoiceDiagnosis) else ()
    return Checked(
        name=found.name,
        light=found.light,
        findings=tuple(to_plain(finding) for finding in found.findings),
        clips=tuple(to_plain(clip) for clip in clips),
    )


def judge_clip(workshop: Workshop, request: JudgeClip, report: Reporter) -> Judged:
    """Say how surely the published weights spoke a clip."""
    return judged_file(
        workshop.layout, file_of(workshop.layout, request.clip), request.bundle, report
    )


def judged_file(layout: Layout, path: Path, bundle: str, report: Reporter) -> Judged:
    """Ask the classifier of a bundle about one file."""
    import torch

    from tortoise.bundle import BundleError
    from tortoise.weights import load_bundle

    name = bundle or classifier_bundle(layout)
    with refusing(ClipError, BundleError):
        wave = read_clip(path).resampled(CLASSIFIER_RATE).wave
        with report.stage("load"):
            classifier = load_bundle(layout.bundle(name)).classifier
    pieces = _pieces(wave.shape[0])
    likely = []
    with torch.inference_mode():
        for start, stop in report.track(pieces, "judge"):
            heard = wave[None, None, start:stop]
            likely.append(round(float(classifier.generated_probability(heard)), 4))
    lengths = [stop - start for start, stop in pieces]
    mean = sum(a * b for a, b in zip(likely, lengths, strict=True)) / sum(lengths)
    return Judged(name=path.name, bundle=name, likely=round(mean, 4), pieces=tuple(likely))


def classifier_bundle(layout: Layout) -> str:
    """Name a bundle that holds a classifier. Raises StudioError, saying how to get one."""
    for bundle in list_bundles(layout):
        if "classifier" in bundle.networks:
            return bundle.name
    raise StudioError(
        "No model here has the classifier: the starter model comes without it. It is part of the "
        "published weights, which `testudo models download tortoise` fetches."
    )


def _pieces(samples: int) -> Sequence[tuple[int, int]]:
    count = max(1, round(samples / PIECE))
    edges = [samples * at // count for at in range(count + 1)]
    return list(pairwise(edges))


def _new_name(layout: Layout, source: Path) -> Path:
    folder = layout.results / CLEANED
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        path = folder / f"{source.stem}.wav"
        while path.exists():
            number += 1
            path = folder / f"{source.stem}-{number}.wav"
    return path


def _noise_db(clip: Clip) -> float:
    return round(speech_to_noise_db(power_of(clip)), 1)
