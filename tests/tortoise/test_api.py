"""The library keeps the names of the original, and the example of the README runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from audio.clip import Clip
from core.progress import ProgressReporter
from support.tiny_bundle import make_tiny_bundle
from tortoise.api import PUBLISHED_NAMES, TextToSpeech
from tortoise.generation.options import TortoiseOptions

ROOT = Path(__file__).resolve().parents[2]
CHEAP = {"num_autoregressive_samples": 4, "diffusion_iterations": 3, "max_mel_tokens": 12}


@pytest.fixture(scope="module")
def tts(tmp_path_factory: pytest.TempPathFactory) -> TextToSpeech:
    return TextToSpeech(make_tiny_bundle(tmp_path_factory.mktemp("api") / "model"), device="cpu")


def test_the_names_of_the_original_give_what_the_engine_gives(tts: TextToSpeech) -> None:
    sample = 0.1 * torch.randn(1, 44_100, generator=torch.Generator().manual_seed(0))
    made = tts.tts_with_preset(
        "hello there", preset="fast", voice_samples=[sample], use_deterministic_seed=3, **CHEAP
    )
    voice = tts.engine.condition([Clip(wave=sample[0], sample_rate=22_050)], ProgressReporter())
    options = TortoiseOptions.preset("fast", seed=3, samples=4, iterations=3, max_codes=12)
    expected = tts.engine.synthesize("hello there", voice, options, ProgressReporter())
    assert isinstance(made, torch.Tensor) and made.shape[:2] == (1, 1)
    assert torch.equal(made[0, 0], expected.candidates[0].clip.wave)


def test_k_waves_and_a_random_voice(tts: TextToSpeech) -> None:
    waves = tts.tts("hello there", k=2, use_deterministic_seed=1, **CHEAP)
    again = tts.tts("hello there", k=2, use_deterministic_seed=1, **CHEAP)
    assert isinstance(waves, list) and len(waves) == 2
    assert all(torch.equal(one, two) for one, two in zip(waves, again, strict=True))


def test_each_name_of_the_original_is_an_option() -> None:
    assert set(PUBLISHED_NAMES.values()) <= set(TortoiseOptions.__dataclass_fields__)


def test_unknown_options_and_presets_are_refused(tts: TextToSpeech) -> None:
    with pytest.raises(ValueError, match=r"no option 'temperatur'\. Did you mean 'temperature'"):
        tts.tts("hello", temperatur=1.0)
    with pytest.raises(ValueError, match=r"preset is 'slow'; it must be one of ultra_fast"):
        tts.tts_with_preset("hello", preset="slow")
    with pytest.raises(ValueError, match="at least one recording"):
        tts.tts("hello", voice_samples=[])


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(from tortoise\.api .*?)```", readme, re.DOTALL)
    assert example is not None and len(example[1].strip().splitlines()) <= 8
    for name in ("voices", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TESTUDO_ROOT": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", example[1]], cwd=tmp_path, env=environment, check=True, timeout=300
    )
    info = soundfile.info(tmp_path / "hello.wav")
    assert info.samplerate == 24_000 and 0.5 < info.duration < 6.0
