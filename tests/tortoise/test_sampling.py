"""Drawing drafts: filters and greedy codes of the reference, and what must hold for any draw."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.progress import Cancelled, ProgressEvent, ProgressReporter
from support.golden_cases import Call, Case, golden
from support.gpt_helpers import OUT, drawn_as_the_original, gpt_of, whole
from tortoise.generation import sampling as decode
from tortoise.generation.kv_cache import (
    KVCacheDecoder,
    StaticKVCacheDecoder,
    get_row_bucket,
    prefill,
)
from tortoise.generation.sampling import (
    CacheShape,
    CodeCandidate,
    FilteredLogits,
    SamplingOptions,
    apply_repetition_penalty,
    filter_top_k,
    filter_top_p,
    filter_typical,
    sample_codes,
)
from tortoise.modules.gpt import Gpt, GptConfig


@golden("ar_sampling")
def test_filters_agree_with_the_reference(case: Case) -> None:
    knobs = case.constructor
    for call in case.calls:
        logits, ids = call.args["logits"], call.args["input_ids"]
        said = torch.zeros_like(logits, dtype=torch.bool).scatter(1, ids, True)
        penalized = apply_repetition_penalty(logits, said, knobs["repetition_penalty"])
        if "after_typical" in call.outputs:
            typical = filter_typical(penalized, 0.9)
            call.check(after_typical=typical.clamp(min=OUT))
            best = filter_top_k(typical / knobs["temperature"], knobs["top_k"])
            call.check(final=whole(filter_top_p(best, knobs["top_p"]), logits.shape[1]))
            continue
        warmed = penalized / knobs["temperature"]
        best = filter_top_k(warmed, knobs["top_k"])
        final = whole(filter_top_p(best, knobs["top_p"]), logits.shape[1])
        call.check(
            after_repetition=penalized,
            after_temperature=warmed,
            after_top_k=whole(best, logits.shape[1]),
            after_top_p=final,
            probs=final.softmax(-1),
            n_kept=(final > OUT).sum(-1),
        )


def greedy(gpt: Gpt, call: Call) -> Tensor:
    """Greedy codes of every row as the original returns them: padded with stop."""
    stop = gpt.config.stop_mel_token
    options = SamplingOptions(
        samples=1,
        top_k=1,
        max_codes=call.args["max_generate_length"],
        repetition_penalty=call.args["repetition_penalty"],
        penalized_codes=(1, gpt.config.start_mel_token),
    )
    rows = []
    for voice, text in zip(
        call.args["speech_conditioning_latent"], call.args["text_inputs"], strict=True
    ):
        [draft] = sample_codes(
            gpt, voice[None], text[None], options, torch.Generator(), ProgressReporter()
        )
        rows.append(torch.cat([draft.codes, torch.full((int(draft.finished),), stop)]))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=stop)


@golden("unified_voice")
def test_greedy_codes_agree_with_the_uncached_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state())
    compared = 0
    for call in case.calls:
        greedily = call.method == "inference_speech" and not call.args["do_sample"]
        if greedily and not call.args["kv_cache"]:  # with its cache the original counts wrongly
            call.check(codes=greedy(gpt, call))
            compared += 1
    assert compared


@golden("unified_voice")
def test_logits_of_a_step_agree_with_the_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state())
    [call] = [call for call in case.calls if call.method == "inference_model"]
    [codes] = [
        c.outputs["codes"].value
        for c in case.calls
        if c.method == "inference_speech"
        and (c.args["do_sample"], c.args["kv_cache"], c.args["repetition_penalty"])
        == (False, False, 1.0)
    ]
    start = torch.tensor([gpt.config.start_mel_token])
    with torch.no_grad():
        prefix = prefill(gpt, call.args["speech_conditioning_latent"], call.args["text_inputs"])
        stepper = KVCacheDecoder(gpt, prefix, rows=1)
        steps = [stepper.decode_step(code) for code in [start, *codes[:, :8].T]]
        call.check(logits=gpt.mel_head(torch.stack(steps, dim=1)))


@golden("unified_voice")
def test_sampled_codes_agree_with_the_reference(case: Case) -> None:
    gpt = gpt_of(case.constructor, case.state())
    for call in case.calls:
        if call.method == "inference_speech" and call.args["do_sample"]:
            args = call.args
            rng = torch.Generator().manual_seed(args["torch_manual_seed"])
            read = (args["speech_conditioning_latent"], args["text_inputs"])
            rows, longest = args["num_return_sequences"], args["max_generate_length"]
            call.check(codes=drawn_as_the_original(gpt, read, rows, longest, args, rng))


@pytest.fixture(scope="module")
def gpt() -> Gpt:
    """Random weights, large enough that rows differ and end."""
    torch.manual_seed(0)
    gpt = Gpt(GptConfig.tiny()).eval()
    for parameter in gpt.parameters():
        torch.nn.init.normal_(parameter, std=0.25)
    torch.nn.init.constant_(gpt.mel_head.bias[-1:], 1.0)  # stop comes now and then
    return gpt


VOICE = torch.randn(1, 32, generator=torch.Generator().manual_seed(5))
TEXT = torch.tensor([[3, 4, 5, 6, 7, 8, 9, 10, 11, 0]])
OPTIONS = SamplingOptions(samples=6, max_codes=40)


def draw(gpt: Gpt, options: SamplingOptions, seed: int = 0) -> list[CodeCandidate]:
    generator = torch.Generator().manual_seed(seed)
    return sample_codes(gpt, VOICE, TEXT, options, generator, ProgressReporter())


def said(drafts: list[CodeCandidate]) -> list[list[int]]:
    return [draft.codes.tolist() for draft in drafts]


def test_cached_steps_equal_the_uncached_network(gpt: Gpt) -> None:
    codes = torch.randint(0, 64, (3, 50), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = gpt.latents(VOICE.expand(3, -1), TEXT.expand(3, -1), codes)
        stepper = KVCacheDecoder(gpt, prefill(gpt, VOICE, TEXT), rows=3)
        fed = torch.cat([torch.full((3, 1), gpt.config.start_mel_token), codes[:, :-1]], dim=1)
        states = torch.stack([stepper.decode_step(column) for column in fed.T], dim=1)
    torch.testing.assert_close(states, expected, atol=2e-5, rtol=1e-4)


def test_the_cache_grows_and_forgets_rows_without_changing_the_others(
    gpt: Gpt, monkeypatch
) -> None:
    monkeypatch.setattr("tortoise.generation.kv_cache.CACHE_GROWTH", 3)
    codes = torch.randint(0, 64, (3, 8), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = gpt.latents(VOICE, TEXT, codes[2:])[0]
        stepper = KVCacheDecoder(gpt, prefill(gpt, VOICE, TEXT), rows=3)
        states = [stepper.decode_step(torch.full((3,), gpt.config.start_mel_token))[2]]
        for step in range(7):
            if step == 4:
                stepper.select_rows(torch.tensor([2]))
            states.append(stepper.decode_step(codes[2:, step] if step >= 4 else codes[:, step])[-1])
    torch.testing.assert_close(torch.stack(states), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("cache", ["padded", "static"])
@pytest.mark.parametrize("samples", [1, 6, 11])
def test_caches_of_other_shapes_draw_the_same_codes(
    gpt: Gpt, samples: int, cache: CacheShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tortoise.generation.kv_cache.PADDED_GROWTH", 7)
    monkeypatch.setattr(decode, "STEPS_BETWEEN_DROPS", 3)
    options = replace(OPTIONS, samples=samples, keep_latents=True)
    plain, static = draw(gpt, options), draw(gpt, replace(options, cache=cache))
    assert said(static) == said(plain)
    for ours, expected in zip(static, plain, strict=True):
        assert ours.finished == expected.finished
        assert ours.confidence == pytest.approx(expected.confidence, rel=1e-4)
        torch.testing.assert_close(ours.latents, expected.latents, atol=5e-5, rtol=1e-4)


def test_a_smaller_bucket_takes_over_when_half_of_the_rows_have_left(gpt: Gpt) -> None:
    assert [get_row_bucket(rows) for rows in (1, 2, 3, 9, 16)] == [1, 2, 4, 16, 16]
    codes = torch.randint(0, 64, (5, 8), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = gpt.latents(VOICE, TEXT, codes[4:])[0]
        stepper = StaticKVCacheDecoder(gpt, prefill(gpt, VOICE, TEXT), rows=5, max_codes=9)
        states = [stepper.decode_step(torch.full((5,), gpt.config.start_mel_token))[4]]
        here = torch.arange(5)
        for step, staying in enumerate([[0, 1, 2, 3, 4], [1, 2, 4], [2], [0], [0], [0], [0]]):
            if len(staying) < len(here):
                here = here[staying]
                stepper.select_rows(torch.tensor(staying))
            states.append(stepper.decode_step(codes[here, step])[-1])
        assert len(stepper.codes) == 1
    torch.testing.assert_close(torch.stack(states), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cuda_graph_draws_the_codes_of_plain_steps(gpt: Gpt) -> None:
    on_gpu = deepcopy(gpt).cuda()
    drafts = []
    for cache in ("exact", "static"):
        generator = torch.Generator().manual_seed(0)
        options = replace(OPTIONS, samples=6, cache=cache)
        drafts.append(
            sample_codes(on_gpu, VOICE.cuda(), TEXT.cuda(), options, generator, ProgressReporter())
        )
    assert said(drafts[1]) == said(drafts[0])


def test_latents_kept_while_sampling_equal_those_of_a_second_pass(gpt: Gpt) -> None:
    drafts = draw(gpt, replace(OPTIONS, keep_latents=True))
    assert said(drafts) == said(draw(gpt, OPTIONS))
    for one in drafts:
        assert one.latents is not None and len(one.latents) == len(one.codes) + one.finished
        codes = one.codes if len(one.codes) else torch.zeros(1, dtype=torch.long)
        with torch.no_grad():
            expected = gpt.latents(VOICE, TEXT, codes[None])[0]
        found = one.latents[: len(codes)]
        torch.testing.assert_close(found, expected, atol=5e-5, rtol=1e-4)
    assert all(one.latents is None for one in draw(gpt, OPTIONS))


def test_rows_end_at_different_times_and_some_at_the_limit(gpt: Gpt) -> None:
    drafts = draw(gpt, replace(OPTIONS, samples=12, max_codes=12))
    assert {draft.finished for draft in drafts} == {True, False}
    assert all(len(d.codes) == 12 for d in drafts if not d.finished)
    assert all(len(d.codes) < 12 for d in drafts if d.finished)
    assert all(max(codes, default=0) < gpt.config.codes for codes in said(drafts))


def test_the_batch_size_changes_nothing(gpt: Gpt) -> None:
    whole_batch = said(draw(gpt, replace(OPTIONS, batch=6)))
    assert said(draw(gpt, replace(OPTIONS, batch=1))) == whole_batch
    assert said(draw(gpt, replace(OPTIONS, batch=4))) == whole_batch


def test_more_samples_begin_with_the_same_ones(gpt: Gpt) -> None:
    few, many = draw(gpt, replace(OPTIONS, samples=3)), draw(gpt, replace(OPTIONS, samples=9))
    assert said(many)[:3] == said(few)


def test_a_seed_repeats_and_another_differs(gpt: Gpt) -> None:
    assert said(draw(gpt, OPTIONS, seed=1)) == said(draw(gpt, OPTIONS, seed=1))
    assert said(draw(gpt, OPTIONS, seed=1)) != said(draw(gpt, OPTIONS, seed=2))


def test_confidence_is_the_mean_log_probability(gpt: Gpt) -> None:
    draft = next(d for d in draw(gpt, OPTIONS) if d.finished)
    codes = torch.cat([draft.codes, torch.tensor([gpt.config.stop_mel_token])])
    with torch.no_grad():
        logits = gpt.mel_head(gpt.latents(VOICE, TEXT, codes[None]))[0]
    logits[:, gpt.config.start_mel_token] = -torch.inf
    expected = logits.log_softmax(-1)[torch.arange(len(codes)), codes].mean()
    assert draft.confidence == pytest.approx(expected.item(), rel=1e-4)


def test_draws_follow_the_probabilities() -> None:
    scores = torch.tensor([[0.6, 0.3, 0.1]]).log().expand(1000, -1)
    uniform = torch.arange(1000) / 1000
    codes = torch.tensor([[7, 5, 2]]).expand(1000, -1)
    drawn = FilteredLogits(scores=scores, codes=codes).draw(uniform)
    counts = torch.bincount(drawn, minlength=8)
    assert counts[[7, 5, 2]].tolist() == pytest.approx([600, 300, 100], abs=1)


def test_a_code_that_is_out_is_never_drawn() -> None:
    scores = torch.tensor([[2.0, 1.0, -torch.inf]])
    last = FilteredLogits(scores=scores, codes=torch.tensor([[0, 1, 2]])).draw(
        torch.tensor([0.9999999])
    )
    assert last.item() == 1


def test_running_out_of_memory_halves_the_batch_and_says_so_once(gpt: Gpt, monkeypatch) -> None:
    expected = said(draw(gpt, OPTIONS))

    class Cramped(decode.BatchedSampler):
        def steps(self) -> Iterator[int]:
            if len(self.uniform) > 1:
                raise torch.OutOfMemoryError("no room")
            return super().steps()

    monkeypatch.setattr(decode, "BatchedSampler", Cramped)
    halved: list[int] = []
    generator = torch.Generator().manual_seed(0)
    drafts = sample_codes(
        gpt, VOICE, TEXT, OPTIONS, generator, ProgressReporter(), on_halved=halved.append
    )
    assert said(drafts) == expected
    assert halved == [3, 1]


def test_progress_never_goes_back_over_several_batches(gpt: Gpt) -> None:
    heard: list[ProgressEvent] = []
    report = ProgressReporter(heard.append)
    few = replace(OPTIONS, batch=2)
    sample_codes(gpt, VOICE, TEXT, few, torch.Generator().manual_seed(0), report)
    done = [event.done for event in heard]
    assert done == sorted(done) and done[-1] <= heard[-1].total == 6 * 40
    assert report.timings["draft"] > 0


def test_a_processor_holds_fewer_rows_of_a_larger_network() -> None:
    with torch.device("meta"):
        tiny, released = Gpt(GptConfig.tiny()), Gpt(GptConfig.released())
    assert decode.estimate_batch_size(tiny, 60) == decode.CPU_BATCH_SIZE
    assert decode.estimate_batch_size(released, 500) == 17


def test_cancelling_stops_within_one_step(gpt: Gpt) -> None:
    steps: list[ProgressEvent] = []
    report = ProgressReporter(steps.append, stopped=lambda: len(steps) >= 4)
    with pytest.raises(Cancelled):
        sample_codes(gpt, VOICE, TEXT, OPTIONS, torch.Generator(), report)
    assert len(steps) == 4


def test_more_codes_than_the_weights_can_say_are_refused(gpt: Gpt) -> None:
    with pytest.raises(ValueError, match="max_codes is 61; these weights support at most 60"):
        draw(gpt, replace(OPTIONS, max_codes=61))


def test_numbers_that_are_not_finite_are_an_error_that_names_the_way_out(gpt: Gpt) -> None:
    broken = torch.full_like(VOICE, torch.nan)
    with pytest.raises(FloatingPointError, match="Turn half precision off"):
        sample_codes(gpt, broken, TEXT, OPTIONS, torch.Generator(), ProgressReporter())
