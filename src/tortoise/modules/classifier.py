"""The detector of synthetic speech: did TorToiSe say this?"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from tortoise.modules.attention import AttentionBlock, group_norm

SYNTHETIC_CLASS = 0
"""The class of speech that TorToiSe made; the other is real speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig:
    """The architecture of one classifier, saved beside its weights."""

    in_channels: int = 1
    dim: int = 512
    depth: int = 5
    downsample_factor: int = 4
    resnet_blocks: int = 2
    attention_blocks: int = 4
    heads: int = 4
    base_channels: int = 32
    kernel_size: int = 5
    classes: int = 2

    @classmethod
    def released(cls) -> ClassifierConfig:
        """The sizes of the published classifier.pth."""
        return cls()

    @classmethod
    def tiny(cls) -> ClassifierConfig:
        """A size for tests."""
        return cls(dim=16, depth=2, resnet_blocks=1, attention_blocks=1, heads=2, base_channels=8)


class Classifier(nn.Module):
    """Wave to class logits (parameter names of classifier.pth)."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.enc = MiniEncoder(config)
        self.head = nn.Linear(config.dim, config.classes)

    def forward(self, wave: Tensor) -> Tensor:
        """wave: (b, 1, n).  Returns (b, classes) logits."""
        return self.head(self.enc(wave))

    def generated_probability(self, wave: Tensor) -> Tensor:
        """How surely TorToiSe made each wave.  wave: (b, 1, n).  Returns (b,) in [0, 1]."""
        return self(wave).float().softmax(-1)[:, SYNTHETIC_CLASS]


class MiniEncoder(nn.Module):
    """Residual convolutions that shorten the wave, then attention; the first position answers."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        channels = config.base_channels
        self.init = nn.Sequential(nn.Conv1d(config.in_channels, channels, 3, padding=1))
        res: list[nn.Module] = []
        for _ in range(config.depth):
            res += [ResBlock(channels, config.kernel_size) for _ in range(config.resnet_blocks)]
            res.append(Downsample(channels, 2 * channels, config.downsample_factor))
            channels *= 2
        self.res = nn.Sequential(*res)
        self.final = nn.Sequential(
            group_norm(channels), nn.SiLU(), nn.Conv1d(channels, config.dim, 1)
        )
        self.attn = nn.Sequential(
            *(AttentionBlock(config.dim, config.heads) for _ in range(config.attention_blocks))
        )

    def forward(self, wave: Tensor) -> Tensor:
        """wave: (b, c, n).  Returns (b, d)."""
        return self.attn(self.final(self.res(self.init(wave))))[:, :, 0]


class ResBlock(nn.Module):
    """Two normed convolutions around a residual."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.in_layers = nn.Sequential(
            group_norm(channels),
            nn.SiLU(),
            nn.Conv1d(channels, channels, kernel_size, padding=padding),
        )
        self.out_layers = nn.Sequential(
            group_norm(channels),
            nn.SiLU(),
            nn.Identity(),  # the checkpoint counts a dropout here
            nn.Conv1d(channels, channels, kernel_size, padding=padding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, c, n).  Returns the same shape."""
        return x + self.out_layers(self.in_layers(x))


class Downsample(nn.Module):
    """A strided convolution of width five."""

    def __init__(self, channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.op = nn.Conv1d(channels, out_channels, 5, stride=factor, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, c, n).  Returns (b, c', ceil(n / factor))."""
        return self.op(x)
