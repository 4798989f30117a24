"""Which checkpoint is taken, and when learning by heart is pointed out."""

from __future__ import annotations

from training.finetuning.checkpoints.selection import (
    BestCheckpoint,
    SampleScores,
    ValidationResult,
    select_best_checkpoint,
)


def losses(*values: float, train: tuple[float, ...] = ()) -> list[ValidationResult]:
    learned = [*train, *[None] * len(values)]
    return [
        ValidationResult(step=100 * number, loss=loss, train_loss=learned[number - 1])
        for number, loss in enumerate(values, start=1)
    ]


def heard(*pairs: tuple[float | None, float | None]) -> list[SampleScores]:
    return [
        SampleScores(step=100 * number, wer=wer, similarity=similarity)
        for number, (wer, similarity) in enumerate(pairs, start=1)
    ]


def test_of_no_checkpoints_none_is_best() -> None:
    assert select_best_checkpoint([]) == BestCheckpoint()


def test_the_lowest_validation_loss_is_best_and_of_equals_the_earliest() -> None:
    choice = select_best_checkpoint(losses(3.0, 2.0, 2.0, 2.5))
    assert choice.step == 200
    assert choice.why == "Step 200: the lowest validation loss (validation loss 2.000)."


def test_the_order_in_which_validations_are_reported_does_not_matter() -> None:
    told = losses(3.0, 2.0, 2.2, 2.5, 2.7, train=(3, 2, 1.5, 1, 0.5))
    assert select_best_checkpoint(told[::-1]) == select_best_checkpoint(told)


def test_a_checkpoint_that_stumbles_is_passed_over_for_one_that_speaks() -> None:
    choice = select_best_checkpoint(
        losses(3.0, 2.0, 2.1), heard((0.1, 0.7), (0.6, 0.7), (0.0, 0.7))
    )
    assert choice.step == 300
    assert "those with a good sample" in choice.why and "WER 0%" in choice.why


def test_of_those_that_are_understood_one_that_sounds_like_the_speaker_is_taken() -> None:
    assert (
        select_best_checkpoint(losses(2.0, 2.1, 2.2), heard((0, 0.5), (0.1, 0.65), (0.1, 0.7))).step
        == 200
    )


def test_what_is_not_far_from_the_best_counts_as_good() -> None:
    choice = select_best_checkpoint(losses(2.0, 2.1), heard((0.33, 0.62), (0.0, 0.7)))
    assert choice.step == 100 and "whose sample" not in choice.why


def test_a_step_that_was_not_judged_is_not_preferred_to_one_that_was() -> None:
    assert select_best_checkpoint(losses(2.0, 2.1), heard((0.0, None))[:1]).step == 100
    assert select_best_checkpoint(losses(2.0, 2.1), [SampleScores(step=200, wer=0.0)]).step == 200
    assert select_best_checkpoint(losses(2.0, 2.1), heard((None, None), (0.1, 0.6))).step == 200


def test_only_a_checkpoint_that_is_there_is_taken() -> None:
    told = losses(3.0, 2.0, 2.1, 2.2, 2.3, train=(3, 2, 1.5, 1, 0.5))
    choice = select_best_checkpoint(told, kept=(100, 400))
    assert (choice.step, choice.overfit_since) == (400, 200)
    assert select_best_checkpoint(told, kept=()) == BestCheckpoint()
    assert select_best_checkpoint(told[:1], heard((0, 1), (0, 1)), kept=[200]).step == 200


def test_without_validations_the_latest_of_the_good_samples_is_taken() -> None:
    assert (
        select_best_checkpoint([], heard((0.5, 0.6), (0.0, 0.6), (0.1, 0.62), (0.9, 0.7))).step
        == 300
    )


def test_learning_by_heart_is_pointed_out_with_the_checkpoint_to_take() -> None:
    choice = select_best_checkpoint(losses(3.0, 2.0, 2.1, 2.2, 2.3, train=(3, 2, 1.5, 1, 0.5)))
    assert (choice.step, choice.overfit_since) == (200, 200)
    assert "Since step 200" in choice.overfitting and "2.000 to 2.300" in choice.overfitting
    assert choice.overfitting.endswith("Take the checkpoint of step 200.")


def test_two_bad_validations_or_a_training_loss_that_rises_too_are_no_learning_by_heart() -> None:
    assert not select_best_checkpoint(losses(3.0, 2.0, 2.1, 2.2, train=(3, 2, 1.5, 1))).overfitting
    assert not select_best_checkpoint(
        losses(3.0, 2.0, 2.1, 2.2, 2.3, train=(3, 2, 2.1, 2.2, 2.3))
    ).overfitting
    assert not select_best_checkpoint(
        losses(3.0, 2.0, 2.1, 2.001, 2.3, train=(3, 2, 1, 1, 1))
    ).overfitting
    assert not select_best_checkpoint(losses(3.0, 2.0, 2.1, 2.2, 2.3)).overfitting
