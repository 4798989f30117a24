"""The blind comparison of checkpoints: its order is hidden, choices stay, and then it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.training_runs.blind_comparison import (
    BlindComparison,
    CompareBlindRequest,
    check_steps,
    choose_sample,
    parse_steps,
    plan_comparison,
    read_comparison,
    reveal_steps,
    save_comparison,
    suggest_steps,
)
from studio.training_runs.run_status import RunCheckpoint, RunStatus
from studio.workers.compare_blind import COMPARED_MODEL_DIR, compare_blind_task
from support.finetune_helpers import make_case

TEXTS = ("One.", "Two.", "Three.")


def request(*steps: int, texts: tuple[str, ...] = TEXTS) -> CompareBlindRequest:
    return CompareBlindRequest(dataset="tiny", run="1", steps=steps, sentences=texts)


def run_with(tmp_path: Path, kept: tuple[int, ...], best: int) -> RunStatus:
    point = RunCheckpoint(step=0, path=tmp_path, size=1, loss=1.0, wer=None, similarity=None,
                          there=True, best=False)  # fmt: skip
    points = tuple(replace(point, step=step, best=step == best) for step in kept)
    gone = replace(point, step=5, there=False)
    return RunStatus(
        dataset="tiny", name="1", state="done", folder=tmp_path, checkpoints=(gone, *points)
    )


@pytest.fixture
def saved(tmp_path: Path) -> BlindComparison:
    comparison = plan_comparison(request(0, 10, 20))
    save_comparison(tmp_path, comparison)
    return comparison


def test_each_sentence_has_every_step_once_and_names_that_say_nothing() -> None:
    seen = set()
    for _ in range(40):
        for sentence in plan_comparison(request(0, 10, 20)).sentences:
            assert sorted(sentence.steps) == [0, 10, 20] and len(set(sentence.files)) == 3
            assert not any(str(step) == name for step in (10, 20) for name in sentence.files)
            seen.add(sentence.steps)
    assert len(seen) == 6, "every order comes up"


def test_choices_are_remembered_and_changed_until_the_steps_are_shown(
    tmp_path: Path, saved: BlindComparison
) -> None:
    with pytest.raises(AppError, match="best sample of every sentence first"):
        reveal_steps(tmp_path)
    for number, sentence in enumerate(saved.sentences):
        choose_sample(tmp_path, number, sentence.steps.index(0))
    choose_sample(tmp_path, 2, saved.sentences[2].steps.index(20))
    assert reveal_steps(tmp_path).wins == {0: 2, 20: 1, 10: 0}
    kept = read_comparison(tmp_path)
    assert kept is not None and kept.is_revealed and list(kept.wins) == [0, 20, 10]
    with pytest.raises(AppError, match="shown already"):
        choose_sample(tmp_path, 0, 0)


def test_a_sample_that_is_not_there_cannot_be_chosen(
    tmp_path: Path, saved: BlindComparison
) -> None:
    for sentence, choice in ((3, 0), (0, 3), (-1, 0)):
        with pytest.raises(AppError, match="no such sample"):
            choose_sample(tmp_path, sentence, choice)
    with pytest.raises(AppError, match="no comparison of this run"):
        choose_sample(tmp_path / "other", 0, 0)


def test_a_damaged_file_counts_as_none(tmp_path: Path, saved: BlindComparison) -> None:
    (tmp_path / "blind.json").write_text('{"sentences": 3}')
    assert read_comparison(tmp_path) is None


def test_samples_of_an_earlier_comparison_are_deleted_and_others_stay(
    tmp_path: Path, saved: BlindComparison
) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in (saved.sentences[0].files[0], "blind-old.wav", "000010.wav"):
        (folder / name).touch()
    save_comparison(tmp_path, saved)
    assert {path.name for path in folder.iterdir()} == {saved.sentences[0].files[0], "000010.wav"}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: request(0), "two or more different steps"),
        (lambda: request(0, 10, 10), "two or more different steps"),
        (lambda: request(0, 1, 2, 3, 4), "at most 3"),
        (lambda: request(0, 1, texts=()), "1 to 5 sentences"),
        (lambda: request(0, 1, texts=(" ",)), "1 to 300 characters"),
        (lambda: parse_steps("0, x"), "steps as numbers"),
        (lambda: parse_steps("9" * 12), "steps as numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused(make: Callable[[], object], match: str) -> None:
    with pytest.raises(AppError, match=match):
        make()


def test_the_base_the_best_and_the_latest_kept_checkpoint_are_suggested(tmp_path: Path) -> None:
    run = run_with(tmp_path, (10, 20, 30, 40), best=20)
    assert suggest_steps(run) == [0, 20, 30, 40]
    assert suggest_steps(run_with(tmp_path, (10,), best=10)) == [0, 10]
    assert suggest_steps(run_with(tmp_path, (), best=0)) == [0]
    check_steps(run, [0, 10])
    with pytest.raises(AppError, match=r"no checkpoint of step 5; kept are: 10, 20"):
        check_steps(run, [5])


def test_the_task_speaks_every_sentence_with_every_step(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    case.write(schedule={"steps": 2}, diffusion={"steps": 1}, optimizer={"rate": 0.1})
    case.train()
    context = SimpleNamespace(
        layout=ProjectPaths.from_root(tmp_path), settings=Settings(device="cpu")
    )
    asked = request(0, 2, texts=("a cat.",))
    result = compare_blind_task(context, asked, ProgressReporter())
    assert result.samples == 2
    comparison = read_comparison(case.run)
    assert comparison is not None
    (sentence,) = comparison.sentences
    waves = [read_clip(case.run / "samples" / name).wave for name in sentence.files]
    assert all(wave.numel() and torch.isfinite(wave).all() for wave in waves)
    assert waves[0].shape != waves[1].shape or not torch.equal(waves[0], waves[1])
    assert not (case.run / COMPARED_MODEL_DIR).exists()
    with pytest.raises(AppError, match="step 99 is not kept"):
        compare_blind_task(context, request(0, 99), ProgressReporter())
    assert read_comparison(case.run) == comparison, "the earlier one stays"
