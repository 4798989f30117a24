"""Is a bundle whole? Every file is opened, compared with its checksum, and fitted to the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.files import sha256_file
from core.progress import ProgressReporter
from engines.model_files import (
    CONFIG_FILE,
    ModelFileError,
    get_network_path,
    read_checksums,
)
from engines.safetensors_io import is_finite
from text.tokenizer import load_tokenizer
from tortoise.checkpoints.adapter import MERGED, load_adapted_weights
from tortoise.checkpoints.config import ModelConfig, read_config
from tortoise.checkpoints.layout import (
    MEL_STATS_FILE,
    TOKENIZER_FILE,
    find_missing_files,
    get_adapter_paths,
    has_adapter,
)
from tortoise.checkpoints.loading import build_network, load_mel_stats, load_network


def verify_model_folder(folder: Path, report: ProgressReporter) -> list[tuple[str, str]]:
    """Verify every file of a model. Returns (file name, error message or "")."""
    try:
        config = read_config(folder)
    except ModelFileError as error:
        return [(CONFIG_FILE, str(error))]
    checks: dict[str, Callable[[], None]] = {
        CONFIG_FILE: lambda: _check_conventions(config),
        TOKENIZER_FILE: lambda: _check_tokenizer(folder, config),
        MEL_STATS_FILE: lambda: _check_mel_stats(folder),
    }
    if has_adapter(folder):
        name = get_adapter_paths(folder)[0].relative_to(folder).as_posix()
        checks[name] = lambda: _check_adapter(folder, config)
    for name in config.networks:
        checks[get_network_path(folder, name).name] = _make_network_check(folder, name)
    found = [(file, _find_problem(checks[file])) for file in report.track(list(checks), "verify")]
    absent = [file for file in find_missing_files(folder) if file not in checks]
    return found + [
        (file, "missing; the model cannot generate speech without it") for file in absent
    ]


def require_verified(folder: Path) -> None:
    """Raise ModelFileError where `verify_model_folder` finds a problem."""
    for file, problem in verify_model_folder(folder, ProgressReporter()):
        if problem:
            raise ModelFileError(f"{file} cannot be used: {problem}")


def _find_problem(check: Callable[[], None]) -> str:
    try:
        check()
    except (ValueError, OSError, KeyError) as error:
        return str(error) or type(error).__name__
    return ""


def _make_network_check(folder: Path, name: str) -> Callable[[], None]:
    def check() -> None:
        network = load_network(folder, name)
        _check_checksum(get_network_path(folder, name))
        for key, value in network.state_dict().items():
            if not is_finite(value):
                raise ModelFileError(f"{key} contains NaN or infinite values. Download it again.")

    return check


def _check_adapter(folder: Path, config: ModelConfig) -> None:
    network = build_network("gpt", config.architecture("gpt"))
    load_adapted_weights(network, folder, MERGED)


def _check_mel_stats(folder: Path) -> None:
    stats = load_mel_stats(folder)
    _check_checksum(folder / MEL_STATS_FILE)
    if stats.norms.dim() != 1 or not is_finite(stats.norms) or not bool((stats.norms != 0).all()):
        raise ModelFileError("the divisor of a band is 0 or NaN. Download the model again.")


def _check_checksum(file: Path) -> None:
    recorded = read_checksums(file.parent).get(file.name)
    if recorded and recorded.get("sha256") != sha256_file(file):
        raise ModelFileError(
            f"{file.name} has changed: its sha256 does not match the recorded one. Download it "
            "again; if you put it there yourself, import it instead.",
            code="wrong_hash",
        )


def _check_tokenizer(folder: Path, config: ModelConfig) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.encode("Good evening.")
    if config.gpt and tokenizer.size > config.gpt.start_text_token:
        raise ModelFileError(
            f"the tokenizer has {tokenizer.size} ids, the GPT takes {config.gpt.start_text_token}"
        )
    if config.clvp and tokenizer.size > config.clvp.text_tokens:
        raise ModelFileError(
            f"the tokenizer has {tokenizer.size} ids, CLVP takes {config.clvp.text_tokens}"
        )


def _check_conventions(config: ModelConfig) -> None:
    rule, gpt = config.conventions, config.gpt
    if gpt is None:
        return
    if max(rule.calm_code, *rule.fixup_codes) >= gpt.codes:
        raise ModelFileError(f"silence and ending codes must be below the GPT's {gpt.codes} codes")
    if rule.max_codes > gpt.max_mel_tokens or rule.text_limit > gpt.max_text_tokens:
        raise ModelFileError(
            f"at most {gpt.max_text_tokens} text tokens and {gpt.max_mel_tokens} codes fit the "
            f"GPT, not {rule.text_limit} and {rule.max_codes}"
        )
    if config.diffusion and config.diffusion.latent_width != gpt.model_dim:
        raise ModelFileError(
            f"the diffusion network takes latents of {config.diffusion.latent_width}, the GPT "
            f"gives {gpt.model_dim}"
        )
