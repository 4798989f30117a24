"""Reading what was published: weights, mel norms and saved voices."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.model_files import ModelFileError
from engines.safetensors_io import read_pickle
from studio.model_store.bundles import import_model_folder, verify_model_files
from support.published_files import published_by_name, saved, small_files
from support.tiny_bundle import ARCHITECTURES, CONVENTIONS, bpe_tokenizer
from tortoise.checkpoints.config import read_config
from tortoise.checkpoints.convert import (
    check_tokenizer,
    create_model_folder,
    get_published_architecture,
    read_mel_norms,
    read_voice_latents,
    read_weights,
)
from tortoise.checkpoints.loading import build_network, load_model
from tortoise.checkpoints.published import PUBLISHED_FILES


def stored(tmp_path: Path, content: bytes, name: str = "file.pth") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


class TestWeights:
    def test_masks_and_second_names_are_dropped(self, tmp_path: Path) -> None:
        file = published_by_name("autoregressive.pth")
        state = torch.load(stored(tmp_path, small_files()["autoregressive.pth"]), weights_only=True)
        later = {**state, "gpt.wte.weight": state["mel_embedding.weight"]}
        later["inference_model.lm_head.1.bias"] = state["mel_head.bias"]
        tensors, unknown = read_weights(file, stored(tmp_path, saved(later)))
        expected = build_network("gpt", ARCHITECTURES["gpt"]).state_dict().keys()
        assert tensors.keys() == expected and unknown == []

    def test_the_container_may_have_been_unpacked_already(self, tmp_path: Path) -> None:
        file = published_by_name("vocoder.pth")
        packed = stored(tmp_path, small_files()["vocoder.pth"])
        bare = torch.load(packed, weights_only=True)["model_g"]
        tensors, _ = read_weights(file, stored(tmp_path, saved(bare), "bare.pth"))
        assert tensors.keys() == read_weights(file, packed)[0].keys() == bare.keys()

    def test_files_from_before_zip_are_read_too(self, tmp_path: Path) -> None:
        torch.save({"a": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
        assert read_pickle(tmp_path / "old.pth")["a"].tolist() == [1.0, 1.0]

    def test_a_new_bundle_has_the_published_conventions(self, tmp_path: Path) -> None:
        create_model_folder(tmp_path)
        rules = read_config(tmp_path).conventions
        assert (rules.calm_code, rules.fixup_codes, rules.max_codes) == (83, (45, 45, 248), 500)
        assert rules != CONVENTIONS


class TestMelNorms:
    def test_they_are_read_as_published_and_as_safetensors(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        norms = -torch.linspace(9.5, 1.6, 80)
        save_file({"mel_norms": norms}, tmp_path / "norms.safetensors")
        assert torch.equal(read_mel_norms(tmp_path / "norms.safetensors"), norms)
        assert torch.equal(read_mel_norms(stored(tmp_path, saved(norms))), norms)

    @pytest.mark.parametrize("norms", [torch.ones(79), torch.zeros(80), {"a": 1}])
    def test_anything_else_is_refused(self, tmp_path: Path, norms: object) -> None:
        with pytest.raises(ModelFileError, match="does not hold one divisor for each of 80"):
            read_mel_norms(stored(tmp_path, saved(norms)))


class TestVoiceLatents:
    def test_a_saved_pair_becomes_a_conditioning(self, tmp_path: Path) -> None:
        gpt, diffusion = torch.randn(1, 32), torch.randn(1, 64)
        voice = read_voice_latents(stored(tmp_path, saved((gpt, diffusion))), "0123")
        assert (voice.engine, voice.weights_id) == ("tortoise", "0123")
        assert torch.equal(voice.tensors["gpt"], gpt)
        assert torch.equal(voice.tensors["diffusion"], diffusion)

    @pytest.mark.parametrize(
        "content", [[torch.zeros(22_050)], torch.zeros(1, 32), (torch.zeros(3), torch.zeros(3)), {}]
    )
    def test_saved_waves_and_other_things_are_refused(
        self, tmp_path: Path, content: object
    ) -> None:
        with pytest.raises(ModelFileError, match="no pair of latents"):
            read_voice_latents(stored(tmp_path, saved(content)), "0123")

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="There is no file"):
            read_voice_latents(tmp_path / "pat.pth", "0123")


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not the published tokenizer: it has 0 tokens"):
        check_tokenizer(stored(tmp_path, b'{"model": {}}', "tokenizer.json"))
    with pytest.raises(ModelFileError, match="is not JSON"):
        check_tokenizer(stored(tmp_path, b"<html>", "tokenizer.json"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_files_of_the_published_size_are_converted_and_loaded(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Takes about 10 GB of disk and 4 GB of memory; the weights are random."""
    if "slow" not in request.config.option.markexpr.split():
        pytest.skip("writes files of the published size; run with -m slow")
    folder = tmp_path / "published"
    write_published_sizes(folder)
    layout = ProjectPaths.from_root(tmp_path)
    made = import_model_folder(layout, folder, ProgressReporter())
    assert made.speaks and verify_model_files(layout, made.name, ProgressReporter()).good
    bundle = load_model(made.path)
    for name in made.networks:
        network = getattr(bundle, name)
        file = next(file for file in PUBLISHED_FILES if file.network == name)
        source = torch.load(folder / file.name, weights_only=True, mmap=True)
        source = source[file.container] if file.container else source
        key, value = next(iter(network.state_dict().items()))
        assert torch.equal(value, source[key].float())
        bundle.unload(name)


def write_published_sizes(folder: Path) -> None:
    """Write every file that is not optional, in its published size, with random weights."""
    folder.mkdir()
    vocabulary = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2} | {f"t{n}": n for n in range(3, 255)}
    (folder / "tokenizer.json").write_text(bpe_tokenizer(vocabulary))
    torch.save(-torch.linspace(9.5, 1.6, 80), folder / "mel_norms.pth")
    for file in PUBLISHED_FILES:
        if not file.network or file.optional:
            continue
        network = build_network(file.network, get_published_architecture(file))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(std=0.02)
        state = network.state_dict()
        torch.save({file.container: state} if file.container else state, folder / file.name)
