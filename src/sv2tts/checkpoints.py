"""Model folders of SV2TTS, and the published encoder.pt, synthesizer.pt and vocoder.pt.

models/rtvc/
    config.json               engine, architectures, reading, recommended options
    encoder.safetensors       speaker encoder
    synthesizer.safetensors   Tacotron
    vocoder.safetensors       WaveRNN; optional
    istft_vocoder.safetensors the other vocoder, of the 24 kHz mel; optional
    tokenizer.json            and its lexicon, where the synthesizer reads phonemes
    checksums.json
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from core.errors import InvalidValueError
from core.files import atomic_path, sha256_file
from core.serialization import from_dict, to_dict
from engines.model_files import (
    CONFIG_FILE,
    ModelFileError,
    get_network_path,
    read_checksums,
    read_json,
    write_json,
)
from engines.safetensors_io import (
    SkipRandomInit,
    cast_floats,
    check_weights_match,
    load_weights_strict,
    read_pickle,
    read_shapes,
    read_tensors,
    save_tensors,
)
from speakers.embedding import Encoder
from speakers.modules.checkpoints import AnyEncoderModel
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.ge2e import GE2EEncoder
from speakers.modules.xvector import XVectorEncoder
from sv2tts.mel import MelKind
from sv2tts.modules.tacotron import Tacotron, TacotronConfig
from sv2tts.modules.wavernn import WaveRNN, WaveRNNConfig
from sv2tts.text import PHONEME_COUNT, SYMBOLS
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, IstftVocoderConfig

PUBLISHED_NAMES = ("encoder", "synthesizer", "vocoder")

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The architecture of the speaker encoder; the defaults are the published encoder.pt.

    kind: `ge2e`, or `xvector`, which has no layers; trim_silence: shorten the pauses of a recording
    before it is embedded.
    """

    kind: Literal["ge2e", "xvector"] = "ge2e"
    bins: int = 40
    hidden: int = 256
    embedding: int = 256
    layers: int = 3
    trim_silence: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sv2ttsConfig:
    """The config.json of a model. advice: recommended options; about: one line for lists;
    symbols: what the synthesizer reads; mel: what it makes.
    """

    engine: Literal["sv2tts"] = "sv2tts"
    about: str = ""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    synthesizer: TacotronConfig = field(default_factory=TacotronConfig)
    vocoder: WaveRNNConfig | None = None
    istft_vocoder: IstftVocoderConfig | None = None
    symbols: Literal["published", "phonemes"] = "published"
    mel: MelKind = "published"
    mu_law: bool = True
    advice: Mapping[str, Any] = field(default_factory=dict)  # Any: option values


def read_config(folder: Path) -> Sv2ttsConfig:
    """Read config.json. Raises ModelFileError where it is missing or not of this engine."""
    try:
        return from_dict(Sv2ttsConfig, read_json(folder / CONFIG_FILE))
    except InvalidValueError as error:
        raise ModelFileError(
            f"{folder / CONFIG_FILE} is not the config of an SV2TTS model: {error}"
        ) from error


def save_model(
    folder: Path,
    config: Sv2ttsConfig,
    encoder: nn.Module,
    synthesizer: nn.Module,
    vocoder: nn.Module | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder; each file is replaced in one step, config.json last.

    vocoder: the kind that the config has; dtype: of the weights in the files.
    """
    kind = "istft_vocoder" if config.istft_vocoder else "vocoder"
    for name, network in (("encoder", encoder), ("synthesizer", synthesizer), (kind, vocoder)):
        if network is not None:
            weights = {
                key: cast_floats(value, dtype) for key, value in network.state_dict().items()
            }
            save_tensors(get_network_path(folder, name), weights)
    write_json(folder / CONFIG_FILE, to_dict(config))


def load_speaker_encoder(folder: Path, config: Sv2ttsConfig, device: torch.device) -> Encoder:
    """Load the speaker encoder."""
    with SkipRandomInit():
        network = _build_encoder(config.encoder)
    return Encoder(
        name=f"{folder.name}/encoder",
        kind=config.encoder.kind,
        feature_config=FeatureConfig(trim_silence=config.encoder.trim_silence),
        model=_load(network, folder, "encoder", device),
        device=device,
    )


def load_synthesizer(folder: Path, config: Sv2ttsConfig, device: torch.device) -> Tacotron:
    """Load the synthesizer."""
    with SkipRandomInit():
        network = Tacotron(config.synthesizer)
    return _load(network, folder, "synthesizer", device)


def load_vocoder(folder: Path, config: Sv2ttsConfig, device: torch.device) -> WaveRNN:
    """Load the vocoder. Raises ModelFileError for a model without one."""
    if config.vocoder is None:
        raise ModelFileError(f"{folder} has no vocoder. Set the option vocoder to griffin_lim.")
    with SkipRandomInit():
        network = WaveRNN(config.vocoder)
    return _load(network, folder, "vocoder", device)


def load_istft_vocoder(folder: Path, config: Sv2ttsConfig, device: torch.device) -> IstftVocoder:
    """Load the iSTFT vocoder. Raises ModelFileError for a model without one."""
    if config.istft_vocoder is None:
        raise ModelFileError(f"{folder} has no iSTFT vocoder. Set the option vocoder to auto.")
    with SkipRandomInit():
        network = IstftVocoder(config.istft_vocoder)
    return _load(network, folder, "istft_vocoder", device)


def import_published(source: Path, folder: Path, about: str = "") -> Sv2ttsConfig:
    """Convert a folder with the published files into a model folder.

    Takes encoder.pt, synthesizer.pt and vocoder.pt, of which the last is optional. Raises
    ModelFileError for a file that is missing, damaged or of another architecture.
    """
    paths = {name: source / f"{name}.pt" for name in PUBLISHED_NAMES}
    if not paths["vocoder"].is_file():
        del paths["vocoder"]
    return convert_published(paths, folder, about)


def convert_published(paths: Mapping[str, Path], folder: Path, about: str = "") -> Sv2ttsConfig:
    """Convert published files, of any names, into a model folder.

    paths: of `encoder`, `synthesizer` and, optionally, `vocoder`, as the original program wrote
    them or as bare state dicts. Raises ModelFileError as `import_published`.
    """
    weights = {name: read_published_weights(path) for name, path in paths.items()}
    config = Sv2ttsConfig(
        about=about,
        encoder=infer_encoder_config(weights["encoder"]),
        synthesizer=infer_tacotron_config(weights["synthesizer"]),
        vocoder=infer_wavernn_config(weights["vocoder"]) if "vocoder" in weights else None,
    )
    for name, network in _build_empty(config).items():
        _check_published(network, weights[name], paths[name])
    for name, tensors in weights.items():
        save_tensors(get_network_path(folder, name), tensors)
    write_json(folder / CONFIG_FILE, to_dict(config))
    return config


def read_published_weights(path: Path) -> dict[str, Tensor]:
    """Read a published .pt: under `model_state`, or a bare state dict."""
    content = read_pickle(path)
    weights = content.get("model_state", content) if isinstance(content, dict) else content
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
    ):
        raise ModelFileError(
            f"{path} holds no weights: expected tensors by name, alone or under model_state."
        )
    return dict(weights)


def write_published(path: Path, network: nn.Module) -> Path:
    """Write the weights as Real-Time Voice Cloning does, under `model_state`; return the path."""
    weights = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    with atomic_path(path) as part:
        torch.save({"model_state": weights}, part)
    return path


def load_published_synthesizer(path: Path) -> Tacotron:
    """Load a published synthesizer.pt, or one of a training.  Raises ModelFileError."""
    weights = read_published_weights(path)
    return _load_published(Tacotron(infer_tacotron_config(weights)), weights, path)


def load_published_vocoder(path: Path) -> WaveRNN:
    """Load a published vocoder.pt, or one of a training.  Raises ModelFileError."""
    weights = read_published_weights(path)
    return _load_published(WaveRNN(infer_wavernn_config(weights)), weights, path)


def infer_encoder_config(weights: Mapping[str, Tensor]) -> EncoderConfig:
    """Return the architecture that GE2E weights have."""
    hidden_4, bins = _shape(weights, "lstm.weight_ih_l0")
    return EncoderConfig(
        bins=bins,
        hidden=hidden_4 // 4,
        embedding=_shape(weights, "linear.weight")[0],
        layers=_count(weights, "lstm.weight_ih_l"),
    )


def infer_tacotron_config(weights: Mapping[str, Tensor]) -> TacotronConfig:
    """Return the architecture that Tacotron weights have."""
    num_chars, embed_dims = _shape(weights, "encoder.embedding.weight")
    encoder_dims = _shape(weights, "encoder.pre_net.fc1.weight")[0]
    decoder_dims, context_dims = _shape(weights, "encoder_proj.weight")
    n_mels = _shape(weights, "decoder.prenet.fc1.weight")[1]
    fft_bins, postnet_dims = _shape(weights, "post_proj.weight")
    if num_chars not in (len(SYMBOLS), PHONEME_COUNT):
        raise ModelFileError(
            f"the synthesizer has {num_chars} symbols; known are the published {len(SYMBOLS)}, and "
            f"{PHONEME_COUNT} of phonemes."
        )
    threshold = weights.get("stop_threshold", torch.tensor(TacotronConfig().stop_threshold))
    return TacotronConfig(
        num_chars=num_chars,
        embed_dims=embed_dims,
        encoder_dims=encoder_dims,
        decoder_dims=decoder_dims,
        n_mels=n_mels,
        fft_bins=fft_bins,
        postnet_dims=postnet_dims,
        encoder_K=_count(weights, "encoder.cbhg.conv1d_bank.", ".conv.weight"),
        lstm_dims=_shape(weights, "decoder.rnn_input.weight")[0],
        postnet_K=_count(weights, "postnet.conv1d_bank.", ".conv.weight"),
        num_highways=_count(weights, "postnet.highways.", ".W1.weight"),
        stop_threshold=round(float(threshold), 4),
        speaker_embedding_size=context_dims - encoder_dims,
        max_r=_shape(weights, "decoder.mel_proj.weight")[0] // n_mels,
    )


def infer_wavernn_config(weights: Mapping[str, Tensor]) -> WaveRNNConfig:
    """Return the architecture that WaveRNN weights have."""
    rnn_dims = _shape(weights, "rnn1.weight_hh_l0")[1]
    compute_dims, feat_dims, kernel = _shape(weights, "upsample.resnet.conv_in.weight")
    classes, fc_dims = _shape(weights, "fc3.weight")
    layers = sorted(key for key in weights if key.startswith("upsample.up_layers."))
    is_mol = classes == WaveRNNConfig(mode="MOL").classes
    return WaveRNNConfig(
        rnn_dims=rnn_dims,
        fc_dims=fc_dims,
        bits=9 if is_mol else classes.bit_length() - 1,
        pad=(kernel - 1) // 2,
        upsample_factors=tuple((weights[key].shape[-1] - 1) // 2 for key in layers),
        feat_dims=feat_dims,
        compute_dims=compute_dims,
        res_out_dims=_shape(weights, "upsample.resnet.conv_out.weight")[0],
        res_blocks=_count(weights, "upsample.resnet.layers.", ".conv1.weight"),
        mode="MOL" if is_mol else "RAW",
    )


def verify_model(folder: Path) -> list[tuple[str, str]]:
    """Verify every file of a model. Returns (file name, error message or "")."""
    try:
        networks = _build_empty(read_config(folder))
    except ModelFileError as error:
        return [(CONFIG_FILE, str(error))]
    return [(CONFIG_FILE, "")] + [
        (get_network_path(folder, name).name, _find_problem(folder, name, network))
        for name, network in networks.items()
    ]


def _find_problem(folder: Path, name: str, network: nn.Module) -> str:
    """Return what is wrong with the file of a network, "" for nothing."""
    file = get_network_path(folder, name)
    try:
        check_weights_match(read_shapes(file), network, str(file))
        recorded = read_checksums(folder).get(file.name, {}).get("sha256")
        if recorded is not None and recorded != sha256_file(file):
            return "its content is not what was written; import the model again"
        broken = [key for key, value in read_tensors(file).items() if not _is_finite(value)]
    except (ValueError, OSError) as error:
        return str(error)
    return f"{broken[0]} contains NaN or infinite values; import it again" if broken else ""


def _is_finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _build_empty(config: Sv2ttsConfig) -> dict[str, nn.Module]:
    """Build the networks of a config without memory for their weights."""
    with torch.device("meta"):
        networks: dict[str, nn.Module] = {
            "encoder": _build_encoder(config.encoder),
            "synthesizer": Tacotron(config.synthesizer),
        }
        if config.vocoder is not None:
            networks["vocoder"] = WaveRNN(config.vocoder)
        if config.istft_vocoder is not None:
            networks["istft_vocoder"] = IstftVocoder(config.istft_vocoder)
    return networks


def _build_encoder(sizes: EncoderConfig) -> AnyEncoderModel:
    if sizes.kind == "xvector":
        return XVectorEncoder(sizes.bins, sizes.hidden, sizes.embedding)
    return GE2EEncoder(sizes.bins, sizes.hidden, sizes.embedding, sizes.layers)


def _load(network: NetworkT, folder: Path, name: str, device: torch.device) -> NetworkT:
    load_weights_strict(network, get_network_path(folder, name))
    return network.to(device).eval().requires_grad_(False)


def _load_published(network: NetworkT, weights: Mapping[str, Tensor], path: Path) -> NetworkT:
    _check_published(network, weights, path)
    network.load_state_dict(weights, strict=True)
    return network


def _check_published(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    check_weights_match(shapes, network, str(path))


def _shape(weights: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    if key not in weights:
        raise ModelFileError(f"the weights lack {key}. Use the published file.")
    return tuple(weights[key].shape)


def _count(weights: Mapping[str, Tensor], prefix: str, suffix: str = "") -> int:
    """Count the numbered keys `<prefix><number><suffix>`."""
    middles = {
        key[len(prefix) : len(key) - len(suffix)]
        for key in weights
        if key.startswith(prefix) and key.endswith(suffix)
    }
    return sum(middle.isdigit() for middle in middles)
