"""Opening, filling and writing bundles."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from core.files import sha256_file
from engines.model_files import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    ModelFileError,
    get_network_path,
)
from engines.safetensors_io import read_tensors, save_tensors
from support.tiny_bundle import ARCHITECTURES, make_tiny_bundle, random_network
from tortoise.checkpoints.config import NETWORK_CLASSES, ModelConfig, read_config, write_config
from tortoise.checkpoints.layout import compute_weights_id, find_missing_files
from tortoise.checkpoints.loading import (
    build_network,
    load_mel_stats,
    load_model,
    load_network,
    save_mel_stats,
    save_network,
)
from tortoise.generation.model_offload import LoadedNetworks
from tortoise.modules.linear_formats import LINEAR_FORMATS, LinearFormat, is_format_available


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "tiny")


def same(one: nn.Module, other: nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_saved_network_loads_with_the_same_numbers(name: str, tmp_path: Path) -> None:
    network = random_network(name)
    save_network(tmp_path, name, network, ARCHITECTURES[name])
    loaded = load_network(tmp_path, name)
    assert same(network, loaded) and not loaded.training
    buffers = dict(network.named_buffers())  # those that no file holds are computed
    assert all(torch.equal(value, buffers[key]) for key, value in loaded.named_buffers())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loading_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    build_network(name, ARCHITECTURES[name])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_bundle_opens_without_reading_networks(bundle: Path) -> None:
    for file in bundle.glob("*.safetensors"):
        file.unlink()
    opened = load_model(bundle)
    assert opened.config.networks == list(ARCHITECTURES)
    with pytest.raises(ModelFileError, match=r"has no vocoder\.safetensors"):
        _ = opened.vocoder


def test_a_bundle_keeps_a_loaded_network_until_it_is_unloaded(bundle: Path) -> None:
    opened = load_model(bundle)
    first = opened.vocoder
    assert opened.vocoder is first
    assert not any(parameter.requires_grad for parameter in first.parameters())
    opened.unload("vocoder")
    assert opened.vocoder is not first and same(opened.vocoder, first)


def find_mappings(file: Path) -> list[range]:
    """The addresses at which this process has a file mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    spans = [line.split()[0].split("-") for line in lines if line.endswith(f" {file.resolve()}")]
    return [range(int(start, 16), int(end, 16)) for start, end in spans]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is mapped")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_are_used_where_the_file_is_mapped(name: str, bundle: Path) -> None:
    opened = load_model(bundle)
    network, file = getattr(opened, name), get_network_path(bundle, name)
    mapped = find_mappings(file)
    weights = [weight for weight in network.state_dict().values() if weight.numel()]
    assert mapped and weights
    assert all(any(weight.data_ptr() in span for span in mapped) for weight in weights)
    del network, weights
    opened.unload(name)
    gc.collect()
    assert find_mappings(file) == []


@pytest.mark.parametrize("form", LINEAR_FORMATS)
def test_packed_weights_take_the_place_of_the_plain_ones(form: LinearFormat, bundle: Path) -> None:
    if not is_format_available(form):
        pytest.skip(f"this processor computes no {form}")
    networks = LoadedNetworks(bundle=load_model(bundle), device=torch.device("cpu"))
    plain = networks.get_network("clvp")
    matrices = [weakref.ref(one.weight) for one in plain.modules() if isinstance(one, nn.Linear)]
    others = [weakref.ref(one.weight) for one in plain.modules() if isinstance(one, nn.Embedding)]
    del plain
    packed = networks.get_network("clvp", form)
    gc.collect()
    assert len(matrices) > 10 and all(weight() is None for weight in matrices)
    assert len(others) == 2 and all(weight() is not None for weight in others)
    assert list(networks.cache.values()) == [packed]


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    network, architecture = random_network("diffusion"), ARCHITECTURES["diffusion"]
    save_network(tmp_path / "full", "diffusion", network, architecture)
    save_network(tmp_path / "half", "diffusion", network, architecture, torch.float16)
    full, half = (
        get_network_path(tmp_path / n, "diffusion").stat().st_size for n in ("full", "half")
    )
    assert half < 0.75 * full
    loaded = load_network(tmp_path / "half", "diffusion")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    stored = load_network(tmp_path / "half", "diffusion", dtype=None)
    assert {p.dtype for p in stored.parameters()} == {torch.float16}
    for mine, theirs in zip(network.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)  # fp16 has 11 bits


def test_half_precision_spares_buffers_and_what_would_overflow(tmp_path: Path) -> None:
    network = random_network("dvae")
    network.codebook.cluster_size.fill_(1e6)  # beyond fp16
    with torch.no_grad():
        network.encoder[0][0].bias.fill_(1e6)
    save_network(tmp_path, "dvae", network, ARCHITECTURES["dvae"], torch.float16)
    loaded = load_network(tmp_path, "dvae")
    assert loaded.codebook.cluster_size.max() == 1e6
    assert loaded.encoder[0][0].bias.max() == 1e6


def test_saving_merges_the_architecture_and_keeps_the_rest(bundle: Path) -> None:
    before = read_config(bundle)
    wider = ARCHITECTURES["dvae"].__class__.tiny()
    save_network(bundle, "dvae", NETWORK_CLASSES["dvae"](wider), wider)
    after = read_config(bundle)
    assert after.dvae == wider
    assert after.conventions == before.conventions and after.networks == before.networks


def test_a_failed_save_leaves_the_old_network(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(tensors: object, file: Path) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engines.safetensors_io.save_file", fill_the_disk)
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    with pytest.raises(ModelFileError, match="disk is full"):
        save_network(bundle, "dvae", random_network("dvae"), ARCHITECTURES["dvae"])
    assert {file.name: file.read_bytes() for file in bundle.iterdir()} == before


def test_tied_weights_and_views_are_written_whole(tmp_path: Path) -> None:
    tied = torch.arange(6.0)
    save_tensors(tmp_path / "tied.safetensors", {"a": tied, "b": tied, "c": tied[2:4]})
    found = read_tensors(tmp_path / "tied.safetensors")
    assert torch.equal(found["a"], found["b"]) and found["c"].tolist() == [2.0, 3.0]


def test_mel_statistics_survive(bundle: Path, tmp_path: Path) -> None:
    stats = load_model(bundle).mel_stats
    assert stats.norms.shape == (80,) and bool((stats.norms < 0).all())
    save_mel_stats(tmp_path / "copy", stats)
    assert torch.equal(load_mel_stats(tmp_path / "copy").norms, stats.norms)


def test_equal_weights_have_equal_ids_and_a_changed_network_another(bundle: Path) -> None:
    twin = shutil.copytree(bundle, bundle.with_name("twin"))
    before = compute_weights_id(bundle)
    assert compute_weights_id(twin) == before and len(before) == 16
    save_network(bundle, "clvp", random_network("clvp"), ARCHITECTURES["clvp"])
    assert compute_weights_id(bundle) != before


def test_a_network_that_neither_hears_nor_speaks_leaves_the_id(bundle: Path) -> None:
    before = compute_weights_id(bundle)
    save_network(bundle, "bigvgan", random_network("bigvgan"), ARCHITECTURES["bigvgan"])
    get_network_path(bundle, "dvae").unlink()
    assert compute_weights_id(bundle) == before


def test_the_id_sees_a_file_that_was_swapped_by_hand(bundle: Path) -> None:
    before, file = compute_weights_id(bundle), get_network_path(bundle, "vocoder")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert compute_weights_id(bundle) != before


def test_a_written_file_is_not_hashed_again(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(bundle, "clvp", random_network("clvp"), ARCHITECTURES["clvp"])
    recorded = json.loads((bundle / CHECKSUMS_FILE).read_text())["clvp.safetensors"]
    assert recorded["sha256"] == sha256_file(get_network_path(bundle, "clvp"))
    compute_weights_id(bundle)
    monkeypatch.setattr("engines.model_files.sha256_file", lambda file: pytest.fail("read again"))
    compute_weights_id(bundle)


def test_what_a_bundle_lacks_is_listed(bundle: Path) -> None:
    (bundle / "diffusion.safetensors").unlink()
    assert "diffusion.safetensors" in find_missing_files(bundle)


def test_one_vocoder_may_stand_in_for_the_other(bundle: Path) -> None:
    get_network_path(bundle, "vocoder").unlink()
    assert find_missing_files(bundle) == []
    get_network_path(bundle, "istft_vocoder").unlink()
    assert find_missing_files(bundle) == ["vocoder.safetensors"]


class TestRefusals:
    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="There is no model at"):
            load_model(tmp_path / "nowhere")

    def test_no_config(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match=r"has no config\.json"):
            load_model(tmp_path)

    def test_config_that_is_not_json(self, bundle: Path) -> None:
        (bundle / CONFIG_FILE).write_text("{")
        with pytest.raises(ModelFileError, match="is not JSON"):
            load_model(bundle)

    @pytest.mark.parametrize("content", ["[]", "{}", '{"format": 2}', '{"format": "1"}'])
    def test_a_format_from_elsewhere(self, bundle: Path, content: str) -> None:
        (bundle / CONFIG_FILE).write_text(content)
        with pytest.raises(ModelFileError, match="this program reads format 1"):
            load_model(bundle)

    def test_an_unknown_key_suggests_the_nearest(self, bundle: Path) -> None:
        self.edit(bundle, lambda config: config["conventions"].update(calm_cod=1))
        with pytest.raises(ModelFileError, match=r"calm_cod'.*Did you mean 'calm_code'"):
            load_model(bundle)

    def test_an_impossible_architecture(self, bundle: Path) -> None:
        self.edit(bundle, lambda config: config["dvae"].update(layers=0))
        with pytest.raises(ModelFileError, match=r"has invalid values: .*layers >= 1"):
            load_model(bundle)

    def test_an_unknown_network(self, bundle: Path) -> None:
        with pytest.raises(ModelFileError, match=r"no network 'vocodr'.*'vocoder'"):
            load_model(bundle).has("vocodr")

    def test_a_network_that_the_config_does_not_describe(self, bundle: Path) -> None:
        write_config(bundle, ModelConfig())
        with pytest.raises(ModelFileError, match="The model has no dvae; it has nothing"):
            load_network(bundle, "dvae")

    @pytest.mark.parametrize("keep", [0, 4, 100, -1])
    def test_a_file_cut_short(self, bundle: Path, keep: int) -> None:
        file = get_network_path(bundle, "vocoder")
        file.write_bytes(file.read_bytes()[:keep])
        with pytest.raises(ModelFileError, match="damaged or truncated"):
            load_network(bundle, "vocoder")

    def test_a_file_of_something_else(self, bundle: Path) -> None:
        get_network_path(bundle, "vocoder").write_bytes(b"\x93NUMPY" * 100)
        with pytest.raises(ModelFileError, match="damaged or truncated"):
            load_network(bundle, "vocoder")

    def test_weights_of_another_network_say_which_keys_do_not_fit(self, bundle: Path) -> None:
        shutil.copy(get_network_path(bundle, "dvae"), get_network_path(bundle, "vocoder"))
        expected = "does not fit the UnivNet.*has codebook.cluster_size too many.*more tensors"
        with pytest.raises(ModelFileError, match=expected):
            load_network(bundle, "vocoder")

    def test_another_size_says_which_shapes_do_not_fit(self, bundle: Path) -> None:
        self.edit(bundle, lambda config: config["dvae"].update(codes=21))
        expected = "has codebook.cluster_size as 20, not 21"
        with pytest.raises(ModelFileError, match=expected):
            load_network(bundle, "dvae")

    def test_mel_statistics_of_another_form(self, bundle: Path) -> None:
        shutil.copy(get_network_path(bundle, "dvae"), bundle / "mel_stats.safetensors")
        with pytest.raises(ModelFileError, match="it must hold mel_norms"):
            _ = load_model(bundle).mel_stats

    def test_mels_of_another_range(self, bundle: Path) -> None:
        tensors = {"mel_norms": torch.ones(80), "mel_range": torch.tensor([-9.0, 2.0])}
        save_tensors(bundle / "mel_stats.safetensors", tensors)
        with pytest.raises(ModelFileError, match=r"mels within \[-9\.0, 2\.0\]"):
            _ = load_model(bundle).mel_stats

    def test_another_noise_schedule(self, bundle: Path) -> None:
        self.edit(bundle, lambda config: config["conventions"].update(diffusion_steps=1000))
        with pytest.raises(ModelFileError, match="noise schedules of 4000 steps, not of 1000"):
            load_model(bundle)

    @staticmethod
    def edit(bundle: Path, change: object) -> None:
        config = json.loads((bundle / CONFIG_FILE).read_text())
        change(config)  # type: ignore[operator]
        (bundle / CONFIG_FILE).write_text(json.dumps(config))
