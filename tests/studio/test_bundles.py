"""Listing, checking and taking over weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import AppError
from core.files import replace_folder
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines import safetensors_io
from engines.model_files import get_network_path
from studio.model_store.bundles import (
    find_model_folder,
    get_models_fingerprint,
    import_model_folder,
    list_models,
    summarize_model,
    verify_model_files,
)
from support.published_files import fit_small_files, saved, small_files, small_tokenizer
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.loading import load_model
from training.finetuning.checkpoints.store import assemble_model

SPEAKING = ("autoregressive.pth", "clvp2.pth", "diffusion_decoder.pth", "vocoder.pth")


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths.from_root(tmp_path / "studio")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def tiny(layout: ProjectPaths, made: Path) -> Path:
    return shutil.copytree(made, layout.models / "tiny")


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of published files that somebody already has."""
    folder = tmp_path / "lying"
    tokenizer = small_tokenizer(folder / "tortoise" / "data")
    fit_small_files(monkeypatch, tokenizer)
    (folder / ".models").mkdir()
    for name in (*SPEAKING, "mel_norms.pth", "cvvp.pth", "hifidecoder.pth"):
        (folder / ".models" / name).write_bytes(small_files()[name])
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 kB, where this system lets us make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("making a small file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True, stdin=subprocess.DEVNULL)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestListing:
    def test_an_empty_studio_has_no_bundles(self, layout: ProjectPaths) -> None:
        assert list_models(layout) == []

    def test_bundles_and_finetunes_are_listed_with_what_they_hold(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        shutil.copytree(tiny, layout.models / "finetunes" / "alice")
        (layout.models / ".tortoise.part").mkdir()
        (layout.models / "not a bundle").mkdir()
        first, second = list_models(layout)
        assert (first.name, second.name) == ("tiny", "finetunes/alice")
        assert first.speaks and {"gpt", "clvp", "dvae"} <= set(first.networks)
        assert first.weights_id == load_model(tiny).weights_id
        assert first.size == sum(len(content) for content in contents(tiny).values())

    def test_another_checkpoint_exported_under_the_same_name_has_another_weights_id(
        self, layout: ProjectPaths, tiny: Path, tmp_path: Path
    ) -> None:
        target, found = layout.models / "finetunes" / "alice", []
        for step in (1, 2):
            tensors = safetensors_io.read_tensors(get_network_path(tiny, "gpt"))
            network = tmp_path / f"{step}" / "gpt.safetensors"
            network.parent.mkdir()
            save_file({key: value + step for key, value in tensors.items()}, network)
            os.utime(network, ns=(10**18, 10**18))  # equal size and time: only the content differs
            assemble_model(tiny, [network], target.with_name(".alice.part"), "")
            replace_folder(target, target.with_name(".alice.part"))
            found.append((summarize_model(layout, "finetunes/alice").weights_id,
                          get_models_fingerprint(layout)))  # fmt: skip
        assert found[0][0] != found[1][0] and found[0][1] != found[1][1]

    def test_what_a_bundle_needs_before_it_speaks_is_reported(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        get_network_path(tiny, "gpt").unlink()
        found = summarize_model(layout, "tiny")
        assert not found.speaks and found.missing == ("gpt.safetensors",)

    def test_a_bundle_with_a_broken_config_is_still_listed(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        (tiny / "config.json").write_text("{")
        (found,) = list_models(layout)
        assert "is not JSON" in found.problem and not found.speaks

    def test_a_bundle_that_is_not_there_is_refused_with_those_that_are(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        with pytest.raises(AppError, match=r"no model 'tny'.*there: tiny"):
            summarize_model(layout, "tny")


class TestVerifying:
    def test_a_whole_bundle_is_good(self, layout: ProjectPaths, tiny: Path) -> None:
        found = verify_model_files(layout, "tiny", ProgressReporter())
        assert found.good, [check for check in found.checks if not check.good]
        assert "gpt.safetensors" in [check.file for check in found.checks]

    def test_each_network_is_a_step_at_which_one_can_stop(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        with pytest.raises(Cancelled):
            verify_model_files(layout, "tiny", ProgressReporter(stopped=lambda: True))

    def test_a_swapped_file_is_noticed(self, layout: ProjectPaths, tiny: Path) -> None:
        file = get_network_path(tiny, "vocoder")
        content = bytearray(file.read_bytes())
        content[-4:] = b"\x00\x00\x80\x3f"  # one weight becomes 1.0
        file.write_bytes(content)
        assert self.wrong(layout) == {"vocoder.safetensors": "has changed"}

    def test_a_damaged_a_missing_and_a_misfitting_file_are_each_named(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        get_network_path(tiny, "clvp").write_bytes(b"short")
        get_network_path(tiny, "gpt").unlink()
        shutil.copy(get_network_path(tiny, "dvae"), get_network_path(tiny, "vocoder"))
        assert self.wrong(layout) == {
            "clvp.safetensors": "is damaged or truncated",
            "gpt.safetensors": "has no gpt.safetensors",
            "vocoder.safetensors": "does not fit the UnivNet",
        }

    def test_weights_that_are_not_numbers_are_named(self, layout: ProjectPaths, tiny: Path) -> None:
        from engines.safetensors_io import read_tensors, save_tensors

        file = get_network_path(tiny, "dvae")
        tensors = {key: value.clone() for key, value in read_tensors(file).items()}
        tensors["codebook.embed"][0, 0] = torch.nan
        save_tensors(file, tensors)
        assert self.wrong(layout) == {
            "dvae.safetensors": "codebook.embed contains NaN or infinite values"
        }

    def test_a_tokenizer_too_large_for_the_networks_is_named(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        described = json.loads((tiny / "tokenizer.json").read_text())
        described["model"]["vocab"]["é"] = len(described["model"]["vocab"])
        (tiny / "tokenizer.json").write_text(json.dumps(described))
        assert self.wrong(layout) == {"tokenizer.json": "the GPT takes"}

    def test_an_unreadable_config_is_the_only_finding(
        self, layout: ProjectPaths, tiny: Path
    ) -> None:
        (tiny / "config.json").write_text('{"format": 9}')
        assert self.wrong(layout) == {"config.json": "this program reads format 1"}

    def wrong(self, layout: ProjectPaths) -> dict[str, str]:
        """The files found wrong, each with the beginning of why (as the expectation spells it)."""
        found = verify_model_files(layout, "tiny", ProgressReporter())
        return {check.file: _Saying(check.message) for check in found.checks if not check.good}


class _Saying(str):
    """A message that equals any part of itself."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other in str(self)


class TestImporting:
    def test_published_files_become_a_bundle_with_their_numbers(
        self, layout: ProjectPaths, lying: Path
    ) -> None:
        for name, content in small_files().items():
            (lying / ".models" / name).write_bytes(content)
        before = contents(lying)
        made = import_model_folder(layout, lying, ProgressReporter())
        assert made.speaks and made.name == "tortoise" and "random_diffusion" in made.networks
        bundle = load_model(made.path)
        published = torch.load(lying / ".models" / "vocoder.pth", weights_only=True)["model_g"]
        ours = bundle.vocoder.state_dict()
        assert all(torch.equal(ours[key], value) for key, value in published.items())
        assert bundle.mel_stats.norms[0] == -9.5
        assert bundle.tokenizer.encode("hello")
        assert verify_model_files(layout, "tortoise", ProgressReporter()).good
        assert contents(lying) == before, "the user's files stay as they are"

    def test_a_subset_that_is_enough_to_speak_is_enough(
        self, layout: ProjectPaths, lying: Path
    ) -> None:
        for path in (lying / ".models").iterdir():
            if path.name not in (*SPEAKING, "mel_norms.pth"):
                path.unlink()
        made = import_model_folder(layout, lying, ProgressReporter())
        assert made.speaks and set(made.networks) == {"gpt", "clvp", "diffusion", "vocoder"}

    def test_more_files_can_be_added_later(self, layout: ProjectPaths, lying: Path) -> None:
        later = lying.with_name("later")
        later.mkdir()
        shutil.move(lying / ".models" / "cvvp.pth", later / "cvvp.pth")
        assert "cvvp" not in import_model_folder(layout, lying, ProgressReporter()).networks
        assert "cvvp" in import_model_folder(layout, later, ProgressReporter()).networks

    def test_half_precision_takes_half_the_room(self, layout: ProjectPaths, lying: Path) -> None:
        whole = import_model_folder(layout, lying, ProgressReporter(), name="whole")
        half = import_model_folder(layout, lying, ProgressReporter(), name="half", precision="fp16")
        assert half.size < 0.8 * whole.size  # tiny networks are headers, too
        assert load_model(half.path).gpt.mel_head.weight.dtype == torch.float32

    def test_progress_counts_files(self, layout: ProjectPaths, lying: Path) -> None:
        events: list[ProgressEvent] = []
        import_model_folder(layout, lying, ProgressReporter(events.append))
        last = [event for event in events if event.kind == "progress"][-1]
        assert last.stage == "convert" and last.done == last.total and last.done == 8

    def test_what_is_not_enough_is_refused_with_a_list(
        self, layout: ProjectPaths, lying: Path
    ) -> None:
        (lying / ".models" / "clvp2.pth").unlink()
        shutil.rmtree(lying / "tortoise")
        with pytest.raises(AppError, match=r"tokenizer.json, clvp2.pth missing.*tortoise/data"):
            import_model_folder(layout, lying, ProgressReporter())
        assert not layout.models.exists()

    def test_no_folder_is_refused(self, layout: ProjectPaths, tmp_path: Path) -> None:
        with pytest.raises(AppError, match="There is no folder"):
            import_model_folder(layout, tmp_path / "nowhere", ProgressReporter())

    def test_a_model_of_another_engine_is_not_overwritten(
        self, layout: ProjectPaths, lying: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "rtvc").mkdir()
        (tmp_path / "rtvc" / "synthesizer.pt").write_bytes(b"")
        for name, config in (("tortoise", "{}"), ("other", '{"engine": "sv2tts"}')):
            layout.model(name).mkdir(parents=True)
            (layout.model(name) / "config.json").write_text(config)
        with pytest.raises(AppError, match="is a model of the engine tortoise"):
            import_model_folder(layout, tmp_path / "rtvc", ProgressReporter(), "tortoise")
        with pytest.raises(AppError, match="is a model of the engine sv2tts"):
            import_model_folder(layout, lying, ProgressReporter(), "other")
        assert (layout.model("tortoise") / "config.json").read_text() == "{}"

    def test_an_unknown_precision_is_refused(self, layout: ProjectPaths, lying: Path) -> None:
        with pytest.raises(AppError, match="fp32, fp16 or bf16, not 'int4'"):
            import_model_folder(layout, lying, ProgressReporter(), precision="int4")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "damaged or truncated"),
            (b"PK\x03\x04 not really", "damaged"),
            (small_files()["cvvp.pth"][:-2000], "damaged or truncated"),
            (saved([torch.zeros(3)]), "holds list, not weights"),
            (saved({"model": {"a": torch.zeros(1)}, "step": 3}), "looks like a training state"),
            (small_files()["rlg_auto.pth"], "does not fit the Cvvp"),
        ],
    )
    def test_a_file_that_is_not_what_it_is_called_is_refused_and_nothing_is_left(
        self, layout: ProjectPaths, lying: Path, content: bytes, reason: str
    ) -> None:
        (lying / ".models" / "cvvp.pth").write_bytes(content)
        with pytest.raises(AppError, match=reason):
            import_model_folder(layout, lying, ProgressReporter())
        assert list(layout.models.iterdir()) == []

    def test_a_file_that_could_run_a_program_is_not_opened(
        self, layout: ProjectPaths, lying: Path, tmp_path: Path
    ) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

        (lying / ".models" / "cvvp.pth").write_bytes(saved({"weight": Trap()}))
        with pytest.raises(AppError, match="could run code are not loaded"):
            import_model_folder(layout, lying, ProgressReporter())
        assert not (tmp_path / "sprung").exists()

    def test_a_full_disk_is_refused_before_anything_is_written(
        self, layout: ProjectPaths, lying: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = shutil.disk_usage(lying)._replace(free=1000)
        monkeypatch.setattr("studio.model_store.bundles.shutil.disk_usage", lambda path: usage)
        with pytest.raises(AppError, match=r"0\.0 GB free; 0\.2 GB are needed"):
            import_model_folder(layout, lying, ProgressReporter())
        assert list(layout.models.iterdir()) == []

    def test_a_disk_that_fills_up_leaves_nothing(
        self, layout: ProjectPaths, lying: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fill(tensors: object, file: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("engines.safetensors_io.save_file", fill)
        with pytest.raises(AppError, match="disk is full"):
            import_model_folder(layout, lying, ProgressReporter())
        assert list(layout.models.iterdir()) == []

    def test_a_disk_that_is_really_full_leaves_nothing(
        self, small_disk: Path, lying: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "studio.model_store.bundles._check_disk_space", lambda layout, needed: None
        )
        layout = ProjectPaths.from_root(small_disk)
        with pytest.raises(AppError, match="disk is full"):
            import_model_folder(layout, lying, ProgressReporter())
        assert list(layout.models.iterdir()) == []

    def test_stopping_leaves_nothing(self, layout: ProjectPaths, lying: Path) -> None:
        with pytest.raises(Cancelled):
            import_model_folder(layout, lying, ProgressReporter(stopped=lambda: True))
        assert list(layout.models.iterdir()) == []

    @pytest.mark.parametrize("fate", ["damaged", "stopped", "full"])
    def test_an_import_that_fails_leaves_an_existing_model_as_it_was(
        self, layout: ProjectPaths, lying: Path, monkeypatch: pytest.MonkeyPatch, fate: str
    ) -> None:
        made = import_model_folder(layout, lying, ProgressReporter())
        before, error = contents(made.path), AppError
        report = ProgressReporter()
        if fate == "damaged":
            (lying / ".models" / "cvvp.pth").write_bytes(b"")
        elif fate == "stopped":
            polls = iter([False] * 4)
            report, error = ProgressReporter(stopped=lambda: next(polls, True)), Cancelled
        else:
            save, writes = safetensors_io.save_file, iter([True] * 3)

            def fill(tensors: dict[str, torch.Tensor], file: Path) -> None:
                if not next(writes, False):
                    raise OSError(28, "No space left on device")
                save(tensors, file)

            monkeypatch.setattr("engines.safetensors_io.save_file", fill)
        with pytest.raises(error):
            import_model_folder(layout, lying, report, precision="fp16")
        assert contents(made.path) == before
        assert [path.name for path in layout.models.iterdir()] == ["tortoise"]

    def test_a_swap_that_was_cut_off_is_undone_by_the_next_import(
        self, layout: ProjectPaths, lying: Path
    ) -> None:
        made = import_model_folder(layout, lying, ProgressReporter())
        (made.path / "note.txt").write_text("mine")
        made.path.rename(made.path.with_name(".tortoise.old"))
        again = import_model_folder(layout, lying, ProgressReporter())
        assert (again.path / "note.txt").read_text() == "mine"
        assert [path.name for path in layout.models.iterdir()] == ["tortoise"]

    def test_keys_nothing_is_known_of_are_left_out_aloud(
        self, layout: ProjectPaths, lying: Path
    ) -> None:
        file = lying / ".models" / "hifidecoder.pth"
        state = torch.load(file, weights_only=True)
        file.write_bytes(saved({**state, "surprise": torch.zeros(2)}))
        events: list[ProgressEvent] = []
        made = import_model_folder(layout, lying, ProgressReporter(events.append))
        (warning,) = [event for event in events if event.kind == "warning"]
        assert "surprise" in warning.message and "hifigan" in made.networks


def test_an_unknown_model_is_answered_with_the_names_that_can_be_used(
    layout: ProjectPaths, tiny: Path
) -> None:
    shutil.copytree(tiny, layout.model("finetunes/own"))
    with pytest.raises(AppError, match=r"there: .*finetunes/own.*Did you mean 'finetunes/own'\?"):
        find_model_folder(layout, "own")
