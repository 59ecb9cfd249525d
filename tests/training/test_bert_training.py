import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.places import ROOT

from convai.backends.steps.qa_tokenizer import load_tokenizer, make_windows, split_pieces
from convai.networks.bert.config import CONFIGS, BertConfig
from convai.networks.bert.model import Bert
from convai.networks.checkpoints.quantised import SCALE_SUFFIX, load
from convai.networks.checkpoints.weights import build, read_weights
from convai.networks.registry import NETWORKS
from training.bert.blocks import Blocks, question_order
from training.bert.data import Corpus, QuestionForms, collate
from training.bert.losses import span_loss
from training.bert.measure import dev_batches, measure
from training.bert.recipe import Recipe
from training.bert.train import main
from training.bert.training import kept_in_int8, training_of
from training.common.training import Schedule

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red", "sun": "yellow"}
FILLER = "and every child knows that the"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *sorted({*COLOURS, *COLOURS.values(), *FILLER.split(), *"what colour is ?".split()}),
]
SIZES = BertConfig(
    vocab_size=len(WORDS),
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=400,
)
PLAIN = QuestionForms(misheard_share=0, written_share=0, unanswerable_share=0)
QUICK = Recipe(
    batch_rows=4,
    block_batches=3,
    bfloat16=False,
    forms=PLAIN,
    schedule=replace(Recipe().schedule, steps=80, peak_rate=1e-2, warm_up_steps=4),
)


@pytest.fixture
def data(tmp_path):
    """A folder with questions about colours, and a tiny encoder of random weights."""
    articles = [{"paragraphs": [paragraph(thing, colour)]} for thing, colour in COLOURS.items()]
    (tmp_path / "squad.json").write_text(json.dumps({"data": articles}))
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    published = vars(SIZES) | {"model_type": "bert", "hidden_dropout_prob": 0.3}
    (tmp_path / "config.json").write_text(json.dumps(published))
    torch.manual_seed(0)
    weights = {
        name.removeprefix("bert.").replace("dense_act", "dense"): tensor
        for name, tensor in Bert(SIZES).state_dict().items()
        if name.startswith("bert.")
    }
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path


def paragraph(thing: str, colour: str) -> dict:
    context = f"{FILLER} {thing} is {colour} {FILLER} {thing}"
    answer = {"text": colour, "answer_start": context.index(colour)}
    return {"context": context, "qas": [{"question": f"What colour is the {thing}?", "answers": [answer]}]}


def corpus_of(data) -> Corpus:
    return Corpus.load(data / "squad.json", data / "vocab.txt")


def arguments(data, steps: int, *more: str) -> list[str]:
    paths = ["--squad", data / "squad.json", "--encoder", data, "--out", data / "out"]
    return [*map(str, paths), "--steps", str(steps), *more]


def test_training_lowers_the_loss_on_questions_it_sees_again(data):
    training = training_of(QUICK, corpus_of(data), data)
    losses = [training.step()["loss"] for _ in range(QUICK.schedule.steps)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_resumed_run_goes_on_exactly_as_an_uninterrupted_one(data):
    recipe = replace(QUICK, forms=QuestionForms())
    training = training_of(recipe, corpus_of(data), data)
    for _ in range(4):  # a checkpoint inside a block
        training.step()
    training.save(data / "state.pt")
    uninterrupted = [training.step() for _ in range(4)]
    resumed = training_of(recipe, corpus_of(data), data)
    resumed.resume(data / "state.pt")
    assert [resumed.step() for _ in range(4)] == uninterrupted
    for one, other in zip(training.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_exported_weights_are_the_last_ones_but_for_int8(data):
    training = training_of(QUICK, corpus_of(data), data)
    for _ in range(2):
        training.step()
    training.export(data / "bert.safetensors", "tiny")
    restored = load(data / "bert.safetensors")
    for name, weight in training.network.state_dict().items():
        torch.testing.assert_close(restored[name], weight, atol=weight.abs().max().item() / 127 + 1e-7, rtol=1e-3)


def test_what_it_learns_from_is_what_the_file_will_answer(data):
    training = training_of(QUICK, corpus_of(data), data)
    training.network.half().float()  # so that INT8 alone makes a difference
    training.average.load_state_dict(training.network.state_dict())
    training.export(data / "bert.safetensors", "tiny")
    read = Bert(SIZES).eval()
    read.load_state_dict(load(data / "bert.safetensors"))
    loss, loss_of_the_file = (training.losses(network, 0)["loss"] for network in (training.network, read))
    torch.testing.assert_close(loss, loss_of_the_file, atol=1e-5, rtol=1e-5)


def test_matrices_are_kept_in_int8_as_in_the_default_weights():
    default = load_file(ROOT / "weights/bert.safetensors")
    assert {name + SCALE_SUFFIX for name in kept_in_int8(Bert(CONFIGS["mini"]))} == {
        name for name in default if name.endswith(SCALE_SUFFIX)
    }


def test_the_program_writes_log_and_weights_and_goes_on_from_its_state(data, monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", SIZES)
    dev = ["--dev", str(data / "squad.json"), "--dev-questions", "3"]
    assert main(arguments(data, 2, *dev)) == 0
    assert main(arguments(data, 3, *dev, "--resume")) == 0
    log = [json.loads(line) for line in (data / "out/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 3]
    assert log[0]["measured"].keys() == {"loss", "right"}
    weights = read_weights(NETWORKS["bert"], data / "out/bert.safetensors")
    assert weights.config_name == "tiny"
    build(NETWORKS["bert"], weights, seed=0)


def test_exported_weights_alone_can_start_a_run(data):
    main(arguments(data, 1))
    weights = load(data / "out/bert.safetensors")
    training = training_of(QUICK, corpus_of(data), data)
    training.start_from(data / "out/bert.safetensors")
    assert training.steps_done == 0
    for name, tensor in training.network.state_dict().items():
        assert torch.equal(tensor, weights[name])


def test_measuring_counts_the_answers_found(data):
    training = training_of(QUICK, corpus_of(data), data)
    batches = dev_batches(corpus_of(data), len(COLOURS))
    before = measure(training.averaged(), batches)
    for _ in range(QUICK.schedule.steps):
        training.step()
    after = measure(training.averaged(), batches)
    assert after["loss"] < 0.5 * before["loss"]
    assert before["right"] < after["right"] == 1


def test_an_encoder_that_lacks_weights_is_refused_by_name(data, capsys):
    weights = load_file(data / "model.safetensors")
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, data / "model.safetensors")
    assert main(arguments(data, 1)) == 1
    assert "encoder.layer.0.output.dense.bias" in capsys.readouterr().err


def test_a_whole_window_is_the_one_that_serving_makes(data):
    corpus, tokenizer = corpus_of(data), load_tokenizer(str(data / "vocab.txt"))
    window = corpus.draw(0, 384, PLAIN, np.random.default_rng(0))
    asked = split_pieces(tokenizer, "what colour is the sky")
    served = make_windows(tokenizer, asked, corpus.passages[0].pieces, window_tokens=384, doc_stride=128)
    assert window.ids.tolist() == served.input_ids[0].tolist()
    assert collate([window]).token_type_ids[0].tolist() == served.token_type_ids.tolist()
    assert tokenizer.id_to_token(window.ids[window.start]) == "blue"


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_always_holds_the_answer(data, seed):
    corpus = corpus_of(data)
    window = corpus.draw(seed % len(COLOURS), 14, PLAIN, np.random.default_rng(seed))
    answer = corpus.tokenizer.id_to_token(window.ids[window.start])
    assert len(window.ids) <= 14 and answer in COLOURS.values()
    assert window.start == window.end


def test_a_mismatched_pair_points_at_cls_and_does_not_hold_the_answer(data):
    corpus, forms = corpus_of(data), QuestionForms(unanswerable_share=1)
    for seed in range(10):
        window = corpus.draw(0, 384, forms, np.random.default_rng(seed))
        assert (window.start, window.end) == (0, 0)
        assert corpus.tokenizer.token_to_id("blue") not in window.ids


def test_loss_looks_at_the_context_and_cls_only(data):
    batch = Blocks(corpus_of(data), QUICK).at(0)
    logits = torch.zeros(batch.input_ids.shape)
    with_noise = logits.masked_fill(~batch.allowed[:, None], 50.0)
    assert torch.equal(span_loss(logits, logits, batch), span_loss(with_noise, with_noise, batch))


def test_every_epoch_sees_every_question_once():
    order = question_order(7, 0, 14, seed=0)
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7))
    assert question_order(7, 5, 4, seed=0) == order[5:9]


def test_rows_of_like_length_share_a_batch(data):
    recipe = replace(QUICK, short_window_tokens=14, short_share_at_start=0.5, block_batches=4)
    blocks = Blocks(corpus_of(data), recipe)
    lengths = sorted(blocks.at(step).attention_mask.sum(2).flatten().tolist() for step in range(4))
    assert all(max(shorter) <= min(longer) for shorter, longer in zip(lengths, lengths[1:], strict=False))
    assert lengths[0] != lengths[-1]


def test_short_windows_give_way_to_whole_ones():
    assert [Recipe().short_share(step) for step in (0, 1_145, 2_290)] == pytest.approx([0.95, 0.55, 0.15])


def test_the_rate_of_the_recipe_rises_and_falls_on_straight_lines():
    schedule = Recipe().schedule
    assert schedule.rate(0) < 0.02 * schedule.peak_rate
    assert schedule.rate(91) == pytest.approx(1.5e-4)
    assert schedule.rate(1_191) == pytest.approx(0.5 * 1.5e-4, rel=1e-3)
    assert schedule.rate(2_290) == 0


def test_an_unknown_fall_of_the_rate_is_refused():
    with pytest.raises(ValueError, match="fall must be one of cosine, linear, got 'steep'"):
        Schedule(fall="steep")


@pytest.mark.parametrize(("name", "value"), [("batch_rows", 0), ("short_share_at_end", 1.5)])
def test_a_wrong_setting_is_refused_with_its_rule(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}"):
        Recipe(**{name: value})
