"""The discrete VAE agrees with the reference, and its codebook can be begun, moved and revived."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from support.golden_cases import Case, golden, load_strictly
from support.published_layers import published_shapes, shapes_of
from tortoise.modules.dvae import Codebook, Dvae, DvaeConfig


def config_of(published: dict[str, Any]) -> DvaeConfig:
    """Our words for the constructor of the reference."""
    return DvaeConfig(
        mel_bands=published["channels"],
        hidden=published["hidden_dim"],
        codebook_dim=published["codebook_dim"],
        codes=published["num_tokens"],
        layers=published["num_layers"],
        resnet_blocks=published["num_resnet_blocks"],
        kernel_size=published["kernel_size"],
    )


@golden("dvae")
def test_every_call_agrees_with_the_reference(case: Case) -> None:
    dvae = load_strictly(Dvae(config_of(case.constructor)), case.state())
    for call in case.calls:
        CHECKS[call.method](dvae, call)


def check_encoder(dvae: Any, call: Any) -> None:
    call.check(enc=dvae.encode_vectors(call.args["mel"]).transpose(1, 2))


def check_codes(dvae: Any, call: Any) -> None:
    call.check(codes=dvae.encode(call.args["mel"]))


def check_decode(dvae: Any, call: Any) -> None:
    vectors = dvae.codebook.look_up(call.args["codes"]).transpose(1, 2)
    call.check(out=dvae.decode(call.args["codes"]), hidden=dvae.decoder[:-1](vectors))


def check_eval(dvae: Any, call: Any) -> None:
    mel = call.args["mel"]
    reconstruction, commitment, out = dvae.eval()(mel)
    call.check(
        recon_loss_mean=reconstruction,
        recon_loss_elementwise=(out - mel).square(),
        commitment_loss=commitment,
        out=out,
    )


def check_training(dvae: Any, call: Any) -> None:
    reconstruction, commitment, _ = dvae.train()(call.args["mel"])
    (reconstruction + commitment).backward()
    call.check(
        recon_loss_mean=reconstruction,
        commitment_loss=commitment,
        ema_cluster_size=dvae.codebook.cluster_size,
        ema_embed_avg=dvae.codebook.embed_avg,
        ema_embed=dvae.codebook.embed,
        grad_first_encoder_conv=dvae.encoder[0][0].weight.grad,
        grad_last_decoder_bias=dvae.decoder[-1].bias.grad,
    )


CHECKS = {
    "encoder": check_encoder,
    "get_codebook_indices": check_codes,
    "decode": check_decode,
    "forward (eval)": check_eval,
    "forward (train mode) + backward of mean(recon)+commitment": check_training,
}


@pytest.mark.golden
def test_the_released_size_has_the_published_keys() -> None:
    with torch.device("meta"):
        assert shapes_of(Dvae(DvaeConfig.released())) == published_shapes("dvae.pth")


def tiny() -> Dvae:
    torch.manual_seed(0)
    return Dvae(DvaeConfig.tiny())


def clusters(count: int, generator: torch.Generator, repeats: int = 20) -> Tensor:
    """Tight, well separated heaps of vectors: (count * repeats, 6)."""
    centres = 10 * torch.randn(count, 6, generator=generator)
    heaps = centres.repeat(repeats, 1)
    return heaps + 0.01 * torch.randn(heaps.shape, generator=generator)


def far_off(book: Codebook, vectors: Tensor) -> float:
    """Mean squared distance of vectors from their codes."""
    return float((book.look_up(book.find_nearest_codes(vectors)) - vectors).square().mean())


@pytest.mark.parametrize(("frames", "codes"), [(1, 1), (4, 1), (5, 2), (37, 10), (40, 10)])
def test_four_frames_become_one_code_and_a_rest_counts_as_four(frames: int, codes: int) -> None:
    dvae = tiny()
    written = dvae.encode(torch.randn(2, 8, frames))
    assert written.shape == (2, codes)
    assert dvae.decode(written).shape == (2, 8, 4 * codes)


def test_training_on_a_length_without_whole_codes_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        tiny()(torch.randn(1, 8, 10))


def test_listening_leaves_the_codebook_alone_and_training_moves_it() -> None:
    dvae, mel = tiny(), torch.randn(2, 8, 16)
    before = dvae.codebook.embed.clone()
    dvae.eval()(mel)
    assert torch.equal(dvae.codebook.embed, before)
    dvae.train()(mel)
    assert not torch.equal(dvae.codebook.embed, before)


def test_codes_do_not_change_under_bfloat16_autocast_of_the_quantiser() -> None:
    book, vectors = tiny().codebook, torch.randn(50, 6)
    plain = book.find_nearest_codes(vectors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(book.find_nearest_codes(vectors), plain)
        assert book.eval()(vectors[None])[0].dtype == torch.float32


def test_a_training_pass_under_bfloat16_autocast_gives_float32_losses_and_gradients() -> None:
    dvae = tiny()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reconstruction, commitment, out = dvae(torch.randn(2, 8, 16))
    (reconstruction + commitment).backward()
    assert {reconstruction.dtype, commitment.dtype, out.dtype} == {torch.float32}
    assert all(weight.grad.isfinite().all() for weight in dvae.parameters())


def test_a_book_begun_from_data_lies_nearer_to_it_than_a_random_one() -> None:
    generator = torch.Generator().manual_seed(1)
    book, vectors = tiny().codebook, clusters(16, generator)
    before = far_off(book, vectors)
    book.init_with_kmeans(vectors, generator)
    assert far_off(book, vectors) < 0.3 * before


def test_a_book_can_begin_from_fewer_vectors_than_it_has_codes() -> None:
    generator = torch.Generator().manual_seed(1)
    book, vectors = tiny().codebook, torch.randn(5, 6)
    book.init_with_kmeans(vectors, generator)
    assert book.embed.isfinite().all() and far_off(book, vectors) < 1e-10


def test_dead_codes_move_onto_the_data_and_live_ones_stay() -> None:
    generator = torch.Generator().manual_seed(2)
    book, vectors = tiny().codebook, clusters(16, generator)
    book.cluster_size[:4] = 0.0
    before = book.embed.clone()
    assert book.restart_dead_codes(vectors, generator) == 4
    assert torch.equal(book.embed[:, 4:], before[:, 4:])
    moved = book.embed[:, None, :4].permute(2, 1, 0)  # (4, 1, e)
    assert (moved == vectors).all(-1).any(-1).all()
    assert book.restart_dead_codes(vectors, generator) == 0


def test_training_from_nothing_learns_to_copy_a_mel() -> None:
    generator = torch.Generator().manual_seed(3)
    sounds = torch.randn(6, 8, generator=generator)
    spoken = torch.randint(6, (4, 8), generator=generator)
    mel = sounds[spoken].repeat_interleave(4, dim=1).transpose(1, 2)  # (4, 8, 32)
    dvae = tiny()
    with torch.no_grad():
        dvae.codebook.init_with_kmeans(dvae.encode_vectors(mel).flatten(0, 1), generator)
    optimizer = torch.optim.AdamW(dvae.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        reconstruction, commitment, _ = dvae(mel)
        (reconstruction + commitment).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(reconstruction.item())
    assert losses[-1] < 0.5 * losses[0]


def test_an_architecture_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="odd kernel_size"):
        DvaeConfig(kernel_size=4)
