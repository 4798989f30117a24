"""Audio file formats: suffixes, encodings of libsndfile, sample rates that encoders accept."""

from __future__ import annotations

from types import MappingProxyType

OPUS_SAMPLE_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz, RFC 6716 section 2
MP3_SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
ENCODINGS = MappingProxyType(  # container and encoding as libsndfile names them
    {
        "wav": ("WAV", "PCM_16"),
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
        "opus": ("OGG", "OPUS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
    }
)
BIT_DEPTHS = MappingProxyType(  # of the lossless formats: encodings as libsndfile names them
    {
        "wav": {"16": "PCM_16", "24": "PCM_24", "32 float": "FLOAT"},
        "flac": {"16": "PCM_16", "24": "PCM_24"},
    }
)
SAMPLE_RATES = MappingProxyType(  # Hz; a format that is not listed takes any rate
    {"opus": OPUS_SAMPLE_RATES, "mp3": MP3_SAMPLE_RATES}
)
STREAM_FORMATS = ("wav", "mp3", "opus", "flac", "aac", "pcm")
STREAM_SAMPLE_RATE = 24_000
"""Hz of streams: every format supports it, and clients expect it of raw samples."""
SYNTHETIC_COMMENT = (
    "Synthetic speech, made by Testudo. Digital source type: "
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
)
"""The comment tag of every generated clip; the address is the term of IPTC, which C2PA uses too."""
OTHER_SUFFIXES = frozenset(
    {
        *(".3ga", ".3gp", ".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".avi", ".caf", ".m4a"),
        *(".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp4", ".mpga", ".oga", ".qta", ".w64", ".wave"),
        *(".weba", ".webm", ".wma"),
    }
)
"""Suffixes of files that ffmpeg decodes: also videos and voice memos of telephones."""
READABLE_SUFFIXES = frozenset(f".{name}" for name in ENCODINGS) | OTHER_SUFFIXES
