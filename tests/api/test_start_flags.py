"""The start flags of ai-voice-cloning, and the list of devices that `app.py` prints."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from api.server import ServerOptions
from cli.start_flags import RENAMED, REPLACED
from studio.app.studio import Studio
from studio.diagnostics.system_info import DeviceInfo, TorchInfo, format_device_lines
from studio.schemas.settings import Settings

NAMED_BY_THE_ANCESTOR = (
    *("share", "listen", "check-for-updates", "models-from-local-only", "low-vram"),
    *("embed-output-metadata", "no-embed-output-metadata", "latents-lean-and-mean"),
    *("voice-fixer", "voice-fixer-use-cuda", "use-deepspeed", "use-hifigan", "use-rvc"),
    *("rvc-model", "force-cpu-for-conditioning-latents", "defer-tts-load"),
    *("prune-nonfinal-outputs", "device-override", "sample-batch-size"),
    *("unsqueeze-sample-batches", "concurrency-count", "voice-latent-max-chunk-size"),
    *("autocalculate-voice-chunk-duration-size", "output-sample-rate", "output-volume"),
    *("results-folder", "hf-token", "tts-backend", "autoregressive-model", "diffusion-model"),
    *("vocoder-model", "tokenizer-json", "phonemizer-backend", "valle-model"),
    *("whisper-backend", "whisper-model", "whisper-batchsize", "training-default-halfp"),
    *("training-default-bnb", "websocket-listen-address", "websocket-listen-port"),
    *("websocket-enabled", "list-devices"),
)


@pytest.fixture
def served(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which the studio would have been served."""
    settings: list[Settings] = []

    def serve(studio: Studio, start: ServerOptions) -> None:
        settings.append(studio.settings)

    monkeypatch.setattr(app, "serve", serve)
    return settings


@pytest.mark.parametrize(
    ("arguments", "setting", "value"),
    [
        (["--check-for-updates"], "check_updates", True),
        (["--models-from-local-only"], "offline", True),
        (["--low-vram"], "low_vram", True),
        (["--embed-output-metadata"], "embed", True),
        (["--no-embed-output-metadata"], "embed", False),
        (["--latents-lean-and-mean"], "slim_latents", True),
        (["--voice-fixer"], "voice_fixer", True),
        (["--voice-fixer-use-cuda"], "voice_fixer_device", "cuda"),
        (["--no-voice-fixer-use-cuda"], "voice_fixer_device", "cpu"),
        (["--device-override", "cuda:1"], "device", "cuda:1"),
        (["--whisper-model", "small"], "whisper_model", "small"),
        (["--sample-batch-size", "16"], "sample_batch_size", 16),
        (["--concurrency-count", "3"], "concurrency", 3),
        (["--autocalculate-voice-chunk-duration-size", "10"], "voice_chunk_s", 10.0),
        (["--output-sample-rate=44100"], "output_rate", 44_100),
        (["--output-volume", "1.5"], "volume", 1.5),
        (["--results-folder", "said"], "results", "said"),
        (["--tts-backend", "tortoise"], "engine", "tortoise"),
        (["--autoregressive-model", "finetunes/alice"], "bundle", "finetunes/alice"),
        (["--share"], "share", True),
        (["--listen", "0.0.0.0:80"], "listen", "0.0.0.0:80"),
    ],
)
def test_a_renamed_flag_sets_the_setting_of_the_same_meaning(
    app: ModuleType, served: list[Settings], arguments: list[str], setting: str, value: Any
) -> None:
    assert app.main(arguments) == 0
    assert getattr(served[0], setting) == value


@pytest.mark.parametrize("flag", REPLACED)
def test_a_replaced_flag_names_its_replacement_and_the_studio_starts(
    app: ModuleType, served: list[Settings], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main([flag, "--volume", "2"]) == 0 and app.main([flag, "value"]) == 0
    assert [settings.volume for settings in served] == [2.0, 1.0]
    first, second = capsys.readouterr().err.splitlines()
    assert first == second == f"app.py: {flag}: {REPLACED[flag]}" and first.endswith(".")


def test_every_flag_of_the_ancestor_is_known(
    app: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["--help"]) == 0
    told = capsys.readouterr().out.replace(",", " ").split()
    assert [flag for flag in NAMED_BY_THE_ANCESTOR if f"--{flag}" not in told] == []
    assert all(hasattr(Settings(), setting) for setting in RENAMED.values())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--autoregressive-model", "models/finetunes/alice.pth"], "testudo models import"),
        (["--tts-backend", "bark"], "There is no engine 'bark'"),
        (["--output-sample-rate", "much"], "'much' is not a whole number"),
        (["--output-volume", "9"], "volume is 9.0; it must be from 0.0 to 4.0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_a_sentence(
    app: ModuleType,
    served: list[Settings],
    arguments: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.main(arguments) == 2 and served == []
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1


# --list-devices


@pytest.mark.thorough
def test_the_devices_of_this_machine_are_printed_and_nothing_is_served(
    app: ModuleType, served: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["--list-devices"]) == 0 and served == []
    out, err = capsys.readouterr()
    names = [line.split()[0] for line in out.splitlines()]
    assert names[-1] == "cpu" and not err


def test_a_line_holds_what_device_takes_its_label_and_its_memory() -> None:
    found = (
        DeviceInfo(name="cuda:0", label="NVIDIA H100", memory=85_000_000_000),
        DeviceInfo(name="cpu", label="processor"),
    )
    assert format_device_lines(TorchInfo(devices=found)) == [
        "cuda:0  NVIDIA H100, 85.0 GB",
        "cpu     processor",
    ]
    told = format_device_lines(
        TorchInfo(devices=found, unsuited=("Tesla K80",), driver_warnings=("driver too old",))
    )
    assert told[2:] == ["This torch build does not support Tesla K80.", "driver too old"]


def test_a_torch_that_cannot_be_loaded_is_reported(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = TorchInfo(cause="torch_broken", problem="OSError: libcudart.so.13: cannot open")
    monkeypatch.setattr(app, "probe_torch", lambda: broken)
    assert app.main(["--list-devices"]) == 2
    out, err = capsys.readouterr()
    assert "libcudart" in err and err.count("\n") == 1 and not out


def test_a_broken_settings_file_does_not_hide_the_devices(
    app: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "settings.yaml").write_text("volume: [")
    cpu = TorchInfo(devices=(DeviceInfo(name="cpu", label="processor"),))
    monkeypatch.setattr(app, "probe_torch", lambda: cpu)
    assert app.main(["--list-devices"]) == 0
    assert capsys.readouterr().out == "cpu  processor\n"
