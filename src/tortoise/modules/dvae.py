"""The discrete VAE: encodes four mel frames as one code of a learned codebook, and decodes it.

The GPT generates its codes; its decoder is used in training and for previews.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EMA_DECAY = 0.99
EMA_EPSILON = 1e-5
DEAD_CODE_THRESHOLD = 0.03
"""Codes used less than this share of uniform use count as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DvaeConfig:
    """The architecture of one discrete VAE, saved beside its weights."""

    mel_bands: int = 80
    hidden: int = 512
    codebook_dim: int = 512
    codes: int = 8192
    layers: int = 2
    resnet_blocks: int = 3
    kernel_size: int = 3

    def __post_init__(self) -> None:
        if self.layers < 1 or self.codes < 2 or self.kernel_size % 2 == 0:
            raise ValueError(
                f"a discrete VAE needs layers >= 1, codes >= 2 and an odd kernel_size; got "
                f"{self.layers}, {self.codes}, {self.kernel_size}"
            )

    @property
    def frames_per_code(self) -> int:
        """Mel frames that one code stands for: each layer halves the rate."""
        return int(2**self.layers)

    @classmethod
    def released(cls) -> DvaeConfig:
        """The sizes of the published dvae.pth."""
        return cls()

    @classmethod
    def tiny(cls) -> DvaeConfig:
        """A size for tests."""
        return cls(mel_bands=8, hidden=8, codebook_dim=6, codes=16, resnet_blocks=1)


class Dvae(nn.Module):
    """Mel to codes and back (DiscreteVAE of the original, with its parameter names)."""

    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.config = config
        self.codebook = Codebook(config.codebook_dim, config.codes)
        self.encoder = _build_encoder(config)
        self.decoder = _build_decoder(config)

    def encode_vectors(self, mel: Tensor) -> Tensor:
        """The encoder's answer before quantisation.

        mel: (b, c, f) normalised mel.  Returns (b, m, e) with m = ceil(f / frames per code).
        """
        return self.encoder(mel).transpose(1, 2)

    def encode(self, mel: Tensor) -> Tensor:
        """Write mel as codes: (b, c, f) normalised mel to (b, m) int64 codes."""
        return self.codebook.find_nearest_codes(self.encode_vectors(mel))

    def decode(self, codes: Tensor) -> Tensor:
        """Read codes as mel: (b, m) to (b, c, f) with f = m * frames per code."""
        return self.decoder(self.codebook.look_up(codes).transpose(1, 2))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One training pass; in train mode the codebook moves with it.

        mel: (b, c, f) normalised mel, f a multiple of the frames per code.
        Returns the reconstruction loss (), the commitment loss () and the reconstruction (b, c, f).
        """
        if mel.shape[-1] % self.config.frames_per_code:
            raise ValueError(
                f"training mel has {mel.shape[-1]} frames; it must be a multiple of "
                f"{self.config.frames_per_code}. Crop or pad it."
            )
        vectors, commitment = self.codebook(self.encode_vectors(mel))
        reconstructed = self.decoder(vectors.transpose(1, 2)).float()
        return functional.mse_loss(reconstructed, mel.float()), commitment, reconstructed


class Codebook(nn.Module):
    """Vector quantiser whose book follows the data by a moving average (arXiv:1711.00937, A.1).

    It always works in float32: under bfloat16 autocast near codes would be confused.
    """

    embed: Tensor  # (e, k): one column per code
    cluster_size: Tensor  # (k,)
    embed_avg: Tensor  # (e, k)

    def __init__(self, dim: int, codes: int) -> None:
        super().__init__()
        embed = torch.randn(dim, codes)
        self.register_buffer("embed", embed)
        self.register_buffer("cluster_size", torch.ones(codes))
        self.register_buffer("embed_avg", embed.clone())

    def look_up(self, codes: Tensor) -> Tensor:
        """codes: (b, m).  Returns (b, m, e) their vectors."""
        return functional.embedding(codes, self.embed.T)

    def find_nearest_codes(self, vectors: Tensor) -> Tensor:
        """vectors: (..., e).  Returns (...) int64 codes, nearest in Euclidean distance."""
        with torch.autocast(vectors.device.type, enabled=False):
            book = self.embed.float()
            # |v - e|^2 without its |v|^2, which is the same for every code
            distance = book.square().sum(0) - 2 * (vectors.float() @ book)
        return distance.argmin(-1)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise with a straight-through gradient; in train mode also move the book.

        vectors: (b, m, e).  Returns (b, m, e) quantised and the commitment loss ().
        """
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.float()
            codes = self.find_nearest_codes(vectors)
            quantised = self.look_up(codes).float()
            if self.training:
                self._update_ema(vectors.detach().flatten(0, -2), codes.flatten())
            commitment = functional.mse_loss(vectors, quantised)
            return vectors + (quantised - vectors).detach(), commitment

    @torch.no_grad()
    def _update_ema(self, vectors: Tensor, codes: Tensor) -> None:
        """One step of the moving average.  vectors: (n, e);  codes: (n,)."""
        counts, sums = _sum_by_code(vectors, codes, self.cluster_size.numel())
        self.cluster_size.mul_(EMA_DECAY).add_(counts, alpha=1 - EMA_DECAY)
        self.embed_avg.mul_(EMA_DECAY).add_(sums, alpha=1 - EMA_DECAY)
        total = self.cluster_size.sum()
        # Laplace smoothing keeps an unused code finite
        share = (self.cluster_size + EMA_EPSILON) / (total + counts.numel() * EMA_EPSILON)
        self.embed.copy_(self.embed_avg / (share * total))

    @torch.no_grad()
    def init_with_kmeans(
        self, vectors: Tensor, generator: torch.Generator, rounds: int = 8
    ) -> None:
        """Begin the book as k-means centres of encoder answers.

        vectors: (n, e), best with n well above the number of codes.
        """
        self._set_vectors(
            torch.arange(self.cluster_size.numel()), _sample_vectors(vectors, self.embed, generator)
        )
        for _ in range(rounds):
            counts, sums = _sum_by_code(
                vectors, self.find_nearest_codes(vectors), self.cluster_size.numel()
            )
            fresh = _sample_vectors(vectors, self.embed, generator)
            centres = torch.where(counts > 0, sums / counts.clamp(min=1), fresh)
            self._set_vectors(torch.arange(counts.numel()), centres)

    @torch.no_grad()
    def restart_dead_codes(self, vectors: Tensor, generator: torch.Generator) -> int:
        """Replace rarely used codes by encoder outputs; the original does not.

        vectors: (n, e).  Returns how many codes were moved.
        """
        dead = self.cluster_size < DEAD_CODE_THRESHOLD * self.cluster_size.mean()
        which = dead.nonzero().flatten()
        self._set_vectors(which, _sample_vectors(vectors, self.embed, generator)[:, which])
        return which.numel()

    def _set_vectors(self, which: Tensor, centres: Tensor) -> None:
        """Place codes with the weight of an even use.  which: (n,);  centres: (e, n)."""
        weight = self.cluster_size.mean()
        which = which.to(self.embed.device)
        self.embed[:, which] = centres
        self.embed_avg[:, which] = centres * weight
        self.cluster_size[which] = weight


def _sum_by_code(vectors: Tensor, codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Count and sum the vectors of each code.

    vectors: (n, e);  codes: (n,).  Returns (k,) and (e, k).
    """
    vectors = vectors.float()
    counts = torch.bincount(codes, minlength=size).to(vectors)
    sums = vectors.new_zeros(size, vectors.shape[1]).index_add_(0, codes, vectors)
    return counts, sums.T


def _sample_vectors(vectors: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one vector for every code.  vectors: (n, e);  like: (e, k).  Returns (e, k)."""
    count, size = vectors.shape[0], like.shape[1]
    if count >= size:
        chosen = torch.randperm(count, generator=generator)[:size]
    else:
        chosen = torch.randint(count, (size,), generator=generator)
    return vectors[chosen.to(vectors.device)].T.to(like)


class ResidualBlock(nn.Module):
    """Two wide convolutions and a mixing one, added to the input."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.net = nn.Sequential(
            nn.Conv1d(channels, channels, kernel_size, padding=padding),
            nn.ReLU(),
            nn.Conv1d(channels, channels, kernel_size, padding=padding),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (b, c, f).  Returns the same shape."""
        return self.net(hidden) + hidden


class UpsampledConv(nn.Module):
    """Double the length by repetition, then smooth by a convolution."""

    def __init__(self, channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (b, c, f).  Returns (b, c', 2 f)."""
        return self.conv(hidden.repeat_interleave(2, dim=-1))


def _layer_widths(config: DvaeConfig) -> list[int]:
    return [config.hidden * 2**layer for layer in range(config.layers)]


def _build_encoder(config: DvaeConfig) -> nn.Sequential:
    widths, kernel = _layer_widths(config), config.kernel_size
    downs = [
        nn.Sequential(nn.Conv1d(here, there, kernel, stride=2, padding=kernel // 2), nn.ReLU())
        for here, there in zip([config.mel_bands, *widths[:-1]], widths, strict=True)
    ]
    blocks = [ResidualBlock(widths[-1], kernel) for _ in range(config.resnet_blocks)]
    return nn.Sequential(*downs, *blocks, nn.Conv1d(widths[-1], config.codebook_dim, 1))


def _build_decoder(config: DvaeConfig) -> nn.Sequential:
    widths, kernel = _layer_widths(config)[::-1], config.kernel_size
    blocks = [ResidualBlock(widths[0], kernel) for _ in range(config.resnet_blocks)]
    ups = [
        nn.Sequential(UpsampledConv(here, there, kernel), nn.ReLU())
        for here, there in zip([widths[0], *widths[:-1]], widths, strict=True)
    ]
    first = nn.Conv1d(config.codebook_dim, widths[0], 1)
    return nn.Sequential(first, *blocks, *ups, nn.Conv1d(widths[-1], config.mel_bands, 1))
