"""Tiny models with random weights in Hugging Face format: their words are junk."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

LANGUAGES = ("en", "de", "fr")
LETTERS = "etaonihsrdlumwcfgypbvk'xjqz"


def write_hugging_face_whisper(folder: Path, word_times: bool = True) -> Path:
    """Write a Whisper with a vocabulary of words."""
    special = [
        *("<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)),
        *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"),
        "<|notimestamps|>",
    ]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"Ġ{letter}" for letter in letters), "Ġ"]
    tokenizer = WhisperTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[("Ġ", letter) for letter in letters],
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.add_tokens([f"<|{number * 0.02:.2f}|>" for number in range(1501)])
    ids = tokenizer.get_vocab()
    end = ids["<|endoftext|>"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1,
                encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
                decoder_ffn_dim=32, max_target_positions=32, pad_token_id=end, bos_token_id=end,
                eos_token_id=end, decoder_start_token_id=ids["<|startoftranscript|>"],
            )
        )  # fmt: skip
    network.generation_config = GenerationConfig(
        max_length=24, eos_token_id=end, pad_token_id=end, bos_token_id=end, is_multilingual=True,
        decoder_start_token_id=ids["<|startoftranscript|>"], return_timestamps=False,
        lang_to_id={f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES},
        task_to_id={task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
        no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        alignment_heads=[[0, 0], [0, 1]] if word_times else None,
        suppress_tokens=None if word_times else list(range(end, len(tokenizer))),
    )  # fmt: skip
    network.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def write_wav2vec2(folder: Path) -> Path:
    """Write a wav2vec2 CTC network with capital letters, as published ones have them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS.upper()]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(
        "{" + ", ".join(f'"{token}": {number}' for number, token in enumerate(tokens)) + "}"
    )
    tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Wav2Vec2ForCTC(
            Wav2Vec2Config(
                vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, pad_token_id=0,
                num_attention_heads=2, intermediate_size=32, conv_dim=(16,) * 7,
                num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
            )
        )  # fmt: skip
    network.save_pretrained(folder)
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(do_normalize=True), tokenizer).save_pretrained(
        folder
    )
    return folder
