"""Devices are chosen by name, and networks come back from where they were brought."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engines.device import list_devices, module_on_device, pick_device


def test_the_processor_is_always_there_and_last() -> None:
    assert list_devices()[-1].name == "cpu"
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_takes_the_first_of_the_list() -> None:
    first = list_devices()[0].name
    assert pick_device(None) == pick_device("auto") == pick_device(first)


@pytest.mark.parametrize("name", ["cuda:77", "gpu", "the fast one"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(ValueError, match=r"no device .* Available: auto, .*cpu"):
        pick_device(name)


def test_a_network_is_taken_back_even_when_the_work_fails() -> None:
    moves: list[str] = []

    class Traced(nn.Linear):
        def to(self, device: torch.device) -> Traced:  # type: ignore[override]
            moves.append(str(device))
            return self

    with (
        pytest.raises(RuntimeError, match="out of memory"),
        module_on_device(torch.device("meta"), Traced(1, 1)),
    ):
        raise RuntimeError("out of memory")
    assert moves == ["meta", "cpu"]


def test_a_network_without_parameters_can_be_brought_up() -> None:
    with module_on_device(torch.device("cpu"), nn.Identity()) as model:
        assert model(3) == 3
