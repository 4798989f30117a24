"""The times of a text's tokens, found in the phones that a codec hears."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from text.phones import PHONES, SILENCE, UNKNOWN_PHONE
from training.asr.phone_times import PhoneSpan
from training.finetuning.phone_alignment import DELAY_S, align_tokens, time_tokens


def hear(*spoken: tuple[str, int]) -> Tensor:
    """Log-probabilities (p, 2 m) of phones that last some half codes, with little doubt."""
    classes = torch.tensor([PHONES.index(phone) for phone, halves in spoken for _ in range(halves)])
    shares = torch.full((len(PHONES), len(classes)), 0.1 / len(PHONES))
    shares[classes, torch.arange(len(classes))] = 0.9
    return shares.log()


def kinds(*tokens: str) -> Tensor:
    known = {"_": UNKNOWN_PHONE, ",": SILENCE}
    return torch.tensor([known[one] if one in known else PHONES.index(one) for one in tokens])


def test_each_token_gets_the_time_of_its_phone() -> None:
    heard = hear(("SIL", 3), ("HH", 2), ("AY", 6), ("SIL", 4), ("M", 2), ("IY", 5), ("SIL", 2))
    found = align_tokens(heard, kinds("HH", "AY", ",", "_", "M", "IY", ","))
    assert found is not None and found.sum() == 12
    assert found[:3].tolist() == [1.5, 1.0, 3.0] and found[5:].tolist() == [1.0, 2.5, 1.0]
    assert found[3:5].sum() == 2.0  # the pause belongs to the comma or the space


def test_pauses_and_word_gaps_need_no_time() -> None:
    found = align_tokens(hear(("AY", 4), ("M", 4)), kinds("AY", ",", "_", "M", ","))
    assert found is not None and found.tolist() == [0, 2, 0, 0, 2, 0]


def test_repeated_phones_share_their_time() -> None:
    found = align_tokens(hear(("M", 6)), kinds("M", "_", "M"))
    assert found is not None and found.sum() == 3 and found[1] > 0 and found[3] > 0


def test_wrong_phones_still_end_at_the_end() -> None:
    heard = torch.randn(len(PHONES), 40, generator=torch.Generator().manual_seed(1)).log_softmax(0)
    found = align_tokens(heard, kinds(*["HH", "AY", "_", "M", "IY", ",", "_", "S"]))
    assert found is not None and found.sum() == 20
    assert (found[[1, 2, 4, 5, 8]] >= 0.5).all()


@pytest.mark.parametrize("halves", [1, 2])
def test_a_clip_shorter_than_its_phones_has_no_times(halves: int) -> None:
    assert align_tokens(hear(("M", halves)), kinds("M", "AY", "S")) is None


def spans(*spoken: tuple[int | None, float]) -> list[PhoneSpan]:
    """The index of each phone, or None for a silence, and how many codes of 50 ms it lasts."""
    found, start_s = [], 0.0
    for index, codes in spoken:
        stop_s = start_s + codes * 0.05
        found.append(PhoneSpan(index=index, start_s=start_s, stop_s=stop_s))
        start_s = stop_s
    return found


def test_silences_belong_to_the_mark_and_gaps_to_the_space() -> None:
    heard = spans((None, 3), (0, 2), (1, 4), (None, 5), (2, 3), (3, 4), (None, 2.4))
    classes = kinds("HH", "AY", ",", "_", "M", "IY", ",")
    found = time_tokens(heard, classes, codes=23, code_s=0.05)
    assert len(found) == len(classes) + 1
    assert found.sum().item() == pytest.approx(23)
    delay = DELAY_S / 0.05
    wanted = [3 + delay, 2, 4, 5, 1, 2, 4, 2 - delay]  # what the clip has, not the alignment
    assert found.tolist() == pytest.approx(wanted)


def test_a_space_without_silence_takes_a_code_of_the_next_phone() -> None:
    heard = spans((None, 2), (0, 4), (1, 1), (2, 6), (None, 4))
    found = time_tokens(heard, kinds("M", "_", "AY", "_", "S", ","), codes=17, code_s=0.05)
    delay = DELAY_S / 0.05
    wanted = [2 + delay, 4, 0.5, 0.5, 1, 5, 4 - delay]
    assert found.tolist() == pytest.approx(wanted)


def test_a_silence_within_a_word_belongs_to_the_phone_before_it() -> None:
    heard = spans((0, 2), (None, 3), (1, 2), (None, 4))
    found = time_tokens(heard, kinds("M", "AY", ","), codes=11, code_s=0.05)
    assert found.tolist() == pytest.approx([1.4, 5, 2, 2.6])
