"""The published tortoise-tts-v2 files: where they lie, what they become, what is known of them.

Facts only, and no torch: the studio reads this table to download and to say what is missing.
Sizes and keys of the networks are their architectures' `released()`; a test holds both against the
inventory of the published files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BUNDLE = "tortoise"
ABOUT = "tortoise-tts-v2 by James Betker, the published weights"

WEIGHTS_REPO = "jbetker/tortoise-tts-v2"
MIRROR_REPO = "Manmay/tortoise-tts"
BIGVGAN_REPO = "ecker/tortoise-tts-models"
SOURCE_REPO = "neonbjb/tortoise-tts"
SOURCE_REVISION = "8a2563ecabe93c4fb626f876dd0c52c966edef2f"
DVAE_REVISION = "3704aea61678e7e468a06d8eea121dba368a798e"

DEEPEST_FILES = 2
"""How many folders down published files are sought: the original's tortoise/data is two."""

GPT_LEFTOVERS = r"gpt\.h\.\d+\.attn\.(bias|masked_bias)|gpt\.wte\.weight|inference_model\..+"
"""Masks that old transformers stored, and second names that later savers added: no weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
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
    places: tuple[Place, ...]
    size: int
    network: str = ""
    container: str = ""
    sha256: str = ""
    other_names: tuple[str, ...] = ()
    leftovers: str = ""
    exact: bool = True
    architecture: str = "released"
    needed: bool = False
    optional: bool = False

    def is_leftover(self, key: str) -> bool:
        """Say whether a key of the file is known to be no weight."""
        return bool(self.leftovers) and re.fullmatch(self.leftovers, key) is not None


def _weights(name: str, revision: str = "main") -> tuple[Place, ...]:
    mirror = Place(repo=MIRROR_REPO, path=name)
    first = Place(repo=WEIGHTS_REPO, path=f".models/{name}", revision=revision)
    return (first, mirror) if revision == "main" else (first,)


def _data(name: str) -> tuple[Place, ...]:
    source = Place(
        repo=SOURCE_REPO, path=f"tortoise/data/{name}", revision=SOURCE_REVISION, in_source=True
    )
    return (Place(repo=WEIGHTS_REPO, path=f"data/{name}"), source)


FILES: tuple[PublishedFile, ...] = (
    PublishedFile(
        name="tokenizer.json",
        places=_data("tokenizer.json"),
        size=4409,
        sha256="d1fa6e9b4741bb75b284331b833347c166ba8b0518e187f7370f123149ed87bb",
        other_names=("bpe_lowercase_asr_256.json",),
        needed=True,
    ),
    PublishedFile(
        name="mel_norms.pth",
        places=_data("mel_norms.pth"),
        size=1067,
        sha256="1f69422a8a8f344c4fca2f0c6b8d41d2151d6615b7321e48e6bb15ae949b119c",
        other_names=("clips_mel_norms.pth",),
        needed=True,
    ),
    PublishedFile(
        name="autoregressive.pth",
        places=_weights("autoregressive.pth"),
        size=1_717_000_000,
        network="gpt",
        leftovers=GPT_LEFTOVERS,
        needed=True,
    ),
    PublishedFile(
        name="clvp2.pth",
        places=_weights("clvp2.pth"),
        size=975_500_000,
        network="clvp",
        needed=True,
    ),
    PublishedFile(
        name="diffusion_decoder.pth",
        places=_weights("diffusion_decoder.pth"),
        size=1_169_500_000,
        network="diffusion",
        other_names=("diffusion.pth",),
        needed=True,
    ),
    PublishedFile(
        name="vocoder.pth",
        places=_weights("vocoder.pth"),
        size=391_000_000,
        network="vocoder",
        container="model_g",
        other_names=("univnet_c32_pretrained_libri.pt",),
        needed=True,
    ),
    PublishedFile(
        name="cvvp.pth",
        places=_weights("cvvp.pth"),
        size=151_200_000,
        network="cvvp",
    ),
    PublishedFile(
        name="rlg_auto.pth",
        places=_weights("rlg_auto.pth"),
        size=25_200_000,
        network="random_gpt",
    ),
    PublishedFile(
        name="rlg_diffuser.pth",
        places=_weights("rlg_diffuser.pth"),
        size=100_800_000,
        network="random_diffusion",
        architecture="released_diffusion",
    ),
    PublishedFile(
        name="classifier.pth",
        places=_weights("classifier.pth"),
        size=61_000_000,
        network="classifier",
    ),
    PublishedFile(
        name="dvae.pth",
        places=_weights("dvae.pth", DVAE_REVISION),
        size=239_900_000,
        network="dvae",
        sha256="a990825371506c16bcf0e8167bf24ccf82f65bb6a1dbcbfcf058d76f9b197e35",
    ),
    PublishedFile(
        name="hifidecoder.pth",
        places=(Place(repo=MIRROR_REPO, path="hifidecoder.pth"),),
        size=71_500_000,
        network="hifigan",
        other_names=("hifigan.pth",),
        exact=False,
    ),
    PublishedFile(
        name="bigvgan_24khz_100band.pth",
        places=(Place(repo=BIGVGAN_REPO, path="models/bigvgan_24khz_100band.pth"),),
        size=450_100_000,
        network="bigvgan",
        container="generator",
        other_names=("bigvgan_24khz_100band_g.pth",),
        optional=True,
    ),
    PublishedFile(
        name="bigvgan_base_24khz_100band.pth",
        places=(Place(repo=BIGVGAN_REPO, path="models/bigvgan_base_24khz_100band.pth"),),
        size=56_300_000,
        network="bigvgan",
        container="generator",
        other_names=("bigvgan_base_24khz_100band_g.pth",),
        architecture="released_base",
        optional=True,
    ),
)


def find_files(folder: Path) -> dict[str, Path]:
    """Find published files in a folder and a little below, by the names they go around under.

    Returns published name -> path; of several with one name, the one least deep.
    """
    by_name: dict[str, Path] = {}
    for depth in range(DEEPEST_FILES + 1):
        for path in sorted(folder.glob("*/" * depth + "*")):
            if path.is_file():
                by_name.setdefault(path.name, path)
    found = {}
    for file in FILES:
        names = [name for name in (file.name, *file.other_names) if name in by_name]
        if names:
            found[file.name] = by_name[names[0]]
    return found
