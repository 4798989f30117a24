"""What the processes of campaigns import; it is imported once, before they are forked."""

from __future__ import annotations

import torch

import audio.io
import engines.safetensors_io
import studio.workers.context
import support.fake_engine
import support.finetune_helpers
import support.inline_worker
import training.finetuning.trainer
from studio.model_store import download

__all__ = ["audio", "download", "engines", "studio", "support", "training"]
torch.set_num_threads(1)
