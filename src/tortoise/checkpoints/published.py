"""The published tortoise-tts-v2 files: addresses, sizes, keys and converted names.

Light: the studio reads this table to download and to list missing files. Sizes and keys of the
networks are their architectures' `released()`; a test holds both against the inventory of the
published files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PUBLISHED_MODEL_NAME = "tortoise"
PUBLISHED_DESCRIPTION = "tortoise-tts-v2 by James Betker, the published weights"

WEIGHTS_REPO = "jbetker/tortoise-tts-v2"
MIRROR_REPO = "Manmay/tortoise-tts"
BIGVGAN_REPO = "ecker/tortoise-tts-models"
SOURCE_REPO = "neonbjb/tortoise-tts"
SOURCE_REVISION = "8a2563ecabe93c4fb626f876dd0c52c966edef2f"
DVAE_REVISION = "3704aea61678e7e468a06d8eea121dba368a798e"

MAX_SEARCH_DEPTH = 2
"""Depth of the search for published files: tortoise/data of the original is two."""

GPT_IGNORED_KEYS = r"gpt\.h\.\d+\.attn\.(bias|masked_bias)|gpt\.wte\.weight|inference_model\..+"
"""Attention masks of old transformers versions, and duplicate names: not weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSource:
    """One address of a file: in a repository of the hub, or among the original's source."""

    repo: str
    path: str
    revision: str = "main"
    in_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """One published file.

    network: what it becomes in a bundle ("" for the tokenizer and the mel norms);
    container: the key under which the file holds the weights ("" for none);
    size: roughly, in bytes;  leftovers: pattern of keys that are no weights, to be dropped;
    exact: whether any other key is refused (its published keys are known for certain);
    architecture: which of the architecture's ready-made sizes it has.
    """

    name: str
    sources: tuple[DownloadSource, ...]
    size: int
    network: str = ""
    container: str = ""
    sha256: str = ""
    aliases: tuple[str, ...] = ()
    ignored_keys: str = ""
    is_strict: bool = True
    architecture: str = "released"
    needed: bool = False
    optional: bool = False

    def is_ignored_key(self, key: str) -> bool:
        """Return whether a key of the file is known not to be a weight."""
        return bool(self.ignored_keys) and re.fullmatch(self.ignored_keys, key) is not None


def _make_weight_sources(name: str, revision: str = "main") -> tuple[DownloadSource, ...]:
    mirror = DownloadSource(repo=MIRROR_REPO, path=name)
    first = DownloadSource(repo=WEIGHTS_REPO, path=f".models/{name}", revision=revision)
    return (first, mirror) if revision == "main" else (first,)


def _make_data_sources(name: str) -> tuple[DownloadSource, ...]:
    source = DownloadSource(
        repo=SOURCE_REPO, path=f"tortoise/data/{name}", revision=SOURCE_REVISION, in_source=True
    )
    return (DownloadSource(repo=WEIGHTS_REPO, path=f"data/{name}"), source)


PUBLISHED_FILES: tuple[PublishedFile, ...] = (
    PublishedFile(
        name="tokenizer.json",
        sources=_make_data_sources("tokenizer.json"),
        size=4409,
        sha256="d1fa6e9b4741bb75b284331b833347c166ba8b0518e187f7370f123149ed87bb",
        aliases=("bpe_lowercase_asr_256.json",),
        needed=True,
    ),
    PublishedFile(
        name="mel_norms.pth",
        sources=_make_data_sources("mel_norms.pth"),
        size=1067,
        sha256="1f69422a8a8f344c4fca2f0c6b8d41d2151d6615b7321e48e6bb15ae949b119c",
        aliases=("clips_mel_norms.pth",),
        needed=True,
    ),
    PublishedFile(
        name="autoregressive.pth",
        sources=_make_weight_sources("autoregressive.pth"),
        size=1_717_000_000,
        network="gpt",
        ignored_keys=GPT_IGNORED_KEYS,
        needed=True,
    ),
    PublishedFile(
        name="clvp2.pth",
        sources=_make_weight_sources("clvp2.pth"),
        size=975_500_000,
        network="clvp",
        needed=True,
    ),
    PublishedFile(
        name="diffusion_decoder.pth",
        sources=_make_weight_sources("diffusion_decoder.pth"),
        size=1_169_500_000,
        network="diffusion",
        aliases=("diffusion.pth",),
        needed=True,
    ),
    PublishedFile(
        name="vocoder.pth",
        sources=_make_weight_sources("vocoder.pth"),
        size=391_000_000,
        network="vocoder",
        container="model_g",
        aliases=("univnet_c32_pretrained_libri.pt",),
        needed=True,
    ),
    PublishedFile(
        name="cvvp.pth",
        sources=_make_weight_sources("cvvp.pth"),
        size=151_200_000,
        network="cvvp",
    ),
    PublishedFile(
        name="rlg_auto.pth",
        sources=_make_weight_sources("rlg_auto.pth"),
        size=25_200_000,
        network="random_gpt",
    ),
    PublishedFile(
        name="rlg_diffuser.pth",
        sources=_make_weight_sources("rlg_diffuser.pth"),
        size=100_800_000,
        network="random_diffusion",
        architecture="released_diffusion",
    ),
    PublishedFile(
        name="classifier.pth",
        sources=_make_weight_sources("classifier.pth"),
        size=61_000_000,
        network="classifier",
    ),
    PublishedFile(
        name="dvae.pth",
        sources=_make_weight_sources("dvae.pth", DVAE_REVISION),
        size=239_900_000,
        network="dvae",
        sha256="a990825371506c16bcf0e8167bf24ccf82f65bb6a1dbcbfcf058d76f9b197e35",
    ),
    PublishedFile(
        name="hifidecoder.pth",
        sources=(DownloadSource(repo=MIRROR_REPO, path="hifidecoder.pth"),),
        size=71_500_000,
        network="hifigan",
        aliases=("hifigan.pth",),
        is_strict=False,
    ),
    PublishedFile(
        name="bigvgan_24khz_100band.pth",
        sources=(DownloadSource(repo=BIGVGAN_REPO, path="models/bigvgan_24khz_100band.pth"),),
        size=450_100_000,
        network="bigvgan",
        container="generator",
        aliases=("bigvgan_24khz_100band_g.pth",),
        optional=True,
    ),
    PublishedFile(
        name="bigvgan_base_24khz_100band.pth",
        sources=(DownloadSource(repo=BIGVGAN_REPO, path="models/bigvgan_base_24khz_100band.pth"),),
        size=56_300_000,
        network="bigvgan",
        container="generator",
        aliases=("bigvgan_base_24khz_100band_g.pth",),
        architecture="released_base",
        optional=True,
    ),
)


def find_published_files(folder: Path) -> dict[str, Path]:
    """Find published files in a folder and a little below, by the names they go around under.

    Returns published name -> path; of several with one name, the one least deep.
    """
    by_name: dict[str, Path] = {}
    for depth in range(MAX_SEARCH_DEPTH + 1):
        for path in sorted(folder.glob("*/" * depth + "*")):
            if path.is_file():
                by_name.setdefault(path.name, path)
    found = {}
    for file in PUBLISHED_FILES:
        names = [name for name in (file.name, *file.aliases) if name in by_name]
        if names:
            found[file.name] = by_name[names[0]]
    return found
