"""The detector of synthetic speech agrees with the reference and answers with a probability."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from support.golden_cases import Case, golden, load_strictly
from support.published_layers import published_shapes, shapes_of
from tortoise.modules.classifier import Classifier, ClassifierConfig


def config_of(published: dict[str, Any]) -> ClassifierConfig:
    """Our words for the constructor of the reference."""
    return ClassifierConfig(
        in_channels=published["spec_dim"],
        dim=published["embedding_dim"],
        depth=published["depth"],
        downsample_factor=published["downsample_factor"],
        resnet_blocks=published["resnet_blocks"],
        attention_blocks=published["attn_blocks"],
        heads=published["num_attn_heads"],
        base_channels=published["base_channels"],
        kernel_size=published["kernel_size"],
        classes=published["classes"],
    )


@golden("classifier")
def test_logits_and_probabilities_agree_with_the_reference(case: Case) -> None:
    classifier: Any = load_strictly(Classifier(config_of(case.constructor)), case.state())
    for call in case.calls:
        logits = classifier(call.args["x"])
        call.check(logits=logits, probs=logits.softmax(-1))


@pytest.mark.golden
def test_the_released_size_has_the_published_keys() -> None:
    with torch.device("meta"):
        ours = shapes_of(Classifier(ClassifierConfig.released()))
    assert ours == published_shapes("classifier.pth")


def test_each_wave_gets_its_own_probability() -> None:
    torch.manual_seed(0)
    classifier = Classifier(ClassifierConfig.tiny()).eval()
    waves = torch.randn(3, 1, 500)
    together = classifier.generated_probability(waves)
    alone = torch.cat([classifier.generated_probability(wave[None]) for wave in waves])
    torch.testing.assert_close(together, alone)
    assert ((together > 0) & (together < 1)).all()


def test_generated_speech_is_class_nought() -> None:
    classifier = Classifier(ClassifierConfig.tiny()).eval()
    torch.nn.init.zeros_(classifier.head.weight)
    classifier.head.bias.data = torch.tensor([9.0, -9.0])
    assert classifier.generated_probability(torch.randn(1, 1, 500)) > 0.99
