"""Finetunes: models that learned one voice, and which of them `auto` means.

    resolve_bundle(layout, "auto", "alice")     finetunes/alice-001, or starter where there is none

`auto` is resolved when a request is made, so that what was spoken says with which weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.layout import Layout
from studio.voices import Voice, parse_blend
from studio.weights import BundleSummary, list_bundles
from training.best import Judgement, Validation, choose
from training.finetune_about import FINETUNE_FILE, VOICE_FILE, Finetune, read_finetune

AUTO = "auto"
USUAL = "starter"
FOLDER = "finetunes/"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A finetune that is there. bundle: its name as a model;  learned: what its file says."""

    bundle: str
    path: Path
    speaks: bool
    learned: Finetune

    @property
    def voice(self) -> str:
        """Whose it is; one that learned from a plain folder speaks as the dataset is called."""
        return voice_of(self.learned)


def list_finetunes(layout: Layout, voice: str = "") -> list[OwnModel]:
    """List the finetunes, of one voice or of all, the latest first; damaged ones are left out."""
    found = [_read(bundle) for bundle in list_bundles(layout) if bundle.name.startswith(FOLDER)]
    own = [item for item in found if item is not None and voice in ("", item.voice)]
    return sorted(own, key=lambda item: -item.learned.created)


def models_of_run(layout: Layout, dataset: str, run: str) -> list[OwnModel]:
    """List the models that were made of a run, the latest first."""
    made = (dataset, run)
    return [m for m in list_finetunes(layout) if (m.learned.dataset, m.learned.run) == made]


def best_finetune(layout: Layout, voice: str) -> OwnModel | None:
    """Return the finetune of a voice to speak with, or None.

    Of those that began with the same model and learned from the same dataset as the latest one,
    since only their figures compare: as `training.best` chooses between checkpoints.
    """
    able = [item for item in list_finetunes(layout, voice) if item.speaks] if voice else []
    if not able:
        return None
    latest = able[0].learned
    alike = [
        item
        for item in able
        if (item.learned.dataset, item.learned.base_weights_id)
        == (latest.dataset, latest.base_weights_id)
    ]
    chosen = choose(*_figures(alike)).step
    return alike[chosen] if chosen is not None else alike[0]


def resolve_bundle(layout: Layout, bundle: str, voice: str) -> str:
    """Return the model that is meant: `auto` is the best finetune of the voice, if it has one.

    voice: who speaks; a blend and a made-up voice have none.
    """
    if bundle != AUTO:
        return bundle
    best = best_finetune(layout, _single(voice))
    if best is not None:
        return best.bundle
    able = [item.name for item in list_bundles(layout) if item.speaks and FOLDER not in item.name]
    return USUAL if USUAL in able or not able else able[0]


def own_latents(bundle: Path, voice: Voice) -> Path | None:
    """Return where a finetune keeps its own voice, if this is it and unchanged since; or None.

    It was heard from the clips that were kept for learning, which are better than all there are.
    """
    path = bundle / VOICE_FILE
    if not path.is_file():
        return None
    try:
        learned = read_finetune(bundle)
    except (ValueError, OSError):
        return None
    return path if voice_of(learned) == voice.name and _is_as_learned(voice, learned) else None


def voice_of(learned: Finetune) -> str:
    """Name the voice that a finetune learned; see studio.finetune_voice."""
    return learned.voice or learned.dataset


def _is_as_learned(voice: Voice, learned: Finetune) -> bool:
    """Whether the clips of a voice are those that it was prepared from."""
    try:
        states = {path.name: path.stat() for path in voice.clips}
    except OSError:
        return False
    if learned.voice and learned.sources:
        now = {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
        return now == {Path(name).name: tuple(told) for name, told in learned.sources.items()}
    return all(max(s.st_mtime, s.st_ctime) <= learned.created for s in states.values())


def _read(bundle: BundleSummary) -> OwnModel | None:
    if not (bundle.path / FINETUNE_FILE).is_file():
        return None
    try:
        learned = read_finetune(bundle.path)
    except (ValueError, OSError):
        return None
    return OwnModel(bundle=bundle.name, path=bundle.path, speaks=bundle.speaks, learned=learned)


def _figures(models: Sequence[OwnModel]) -> tuple[list[Validation], list[Judgement]]:
    """Return the figures of models as if each were a step; the latest is 0, so it wins ties."""
    learned = [item.learned for item in models]
    validations = [
        Validation(step=number, loss=item.loss)
        for number, item in enumerate(learned)
        if item.loss is not None
    ]
    judgements = [
        Judgement(step=number, wer=item.scores.get("wer"), similarity=item.scores.get("similarity"))
        for number, item in enumerate(learned)
        if item.scores
    ]
    return validations, judgements


def _single(spoken_by: str) -> str:
    """Return the voice that speaks alone, or ""."""
    try:
        parts = parse_blend(spoken_by)
    except StudioError:
        return ""
    return parts[0].voice if len(parts) == 1 and not parts[0].is_random else ""
