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
from training.bert import train
from training.bert.data import BertRecipe, Corpus, QuestionForms, WindowBatches, collate, order_questions

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red", "sun": "yellow"}
FILLER = "and every child knows that the"
WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
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
PLAIN = QuestionForms(misrecognised_share=0, written_share=0, unanswerable_share=0)
QUICK = BertRecipe(
    batch_rows=4,
    block_batches=3,
    bfloat16=False,
    forms=PLAIN,
    schedule=replace(BertRecipe().schedule, steps=50, peak_rate=1e-2, warm_up_steps=4),
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


def load_corpus(data) -> Corpus:
    return Corpus.load(data / "squad.json", data / "vocab.txt")


def build_training(data, recipe=QUICK):
    return train.build_training(recipe, load_corpus(data), data)


def test_training_learns_to_find_the_answers(data):
    training = build_training(data)
    batches = train.draw_dev_batches(load_corpus(data))
    before = train.measure(training.averaged(), batches)
    for _ in range(QUICK.schedule.steps):
        training.step()
    after = train.measure(training.averaged(), batches)
    assert after["loss"] < 0.5 * before["loss"]
    assert before["right"] < after["right"] == 1


def test_the_losses_run_on_the_device_of_the_network(data, assert_losses_leave_the_cpu):
    assert_losses_leave_the_cpu(build_training(data), step=0)


def test_a_resumed_run_continues_exactly_as_an_uninterrupted_one(data, assert_resumes):
    assert_resumes(lambda: build_training(data, replace(QUICK, forms=QuestionForms())))  # saved inside a block


def test_the_loss_in_training_is_that_of_the_exported_int8_weights(data):
    training = build_training(data)
    training.network.half().float()  # so that only INT8 makes a difference
    training.average.load_state_dict(training.network.state_dict())
    training.export(data / "bert.safetensors", "tiny")
    exported = Bert(SIZES).eval()
    exported.load_state_dict(load(data / "bert.safetensors"))
    for name, weight in training.network.state_dict().items():
        tolerance = weight.abs().max().item() / 127 + 1e-7
        torch.testing.assert_close(exported.state_dict()[name], weight, atol=tolerance, rtol=1e-3)
    batch = training.draw_batch(0)
    loss, exported_loss = (
        training.compute_losses(network, batch, 0)["loss"] for network in (training.network, exported)
    )
    torch.testing.assert_close(loss, exported_loss, atol=1e-5, rtol=1e-5)


def test_the_int8_matrices_are_those_of_the_default_weights():
    default = load_file(ROOT / "weights/bert.safetensors")
    names = train.names_of_int8_matrices(Bert(CONFIGS["mini"]))
    assert {name + SCALE_SUFFIX for name in names} == {name for name in default if name.endswith(SCALE_SUFFIX)}


def test_the_program_writes_log_and_weights_and_resumes(data, monkeypatch, run_twice):
    monkeypatch.setitem(CONFIGS, "tiny", SIZES)
    squad = data / "squad.json"
    options = ["--squad", squad, "--encoder", data, "--dev", squad]
    log = run_twice(train.main, data / "out", *options)
    assert log[0]["measured"].keys() == {"loss", "right"}
    weights = read_weights(NETWORKS["bert"], data / "out/bert.safetensors")
    assert weights.config_name == "tiny"
    build(NETWORKS["bert"], weights, seed=0)


def test_an_encoder_that_lacks_weights_is_refused_by_name(data, capsys):
    weights = load_file(data / "model.safetensors")
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, data / "model.safetensors")
    arguments = ["--squad", str(data / "squad.json"), "--encoder", str(data), "--out", str(data / "out")]
    assert train.main(arguments) == 1
    assert "encoder.layer.0.output.dense.bias" in capsys.readouterr().err


def test_a_full_window_is_the_window_of_serving(data):
    corpus, tokenizer = load_corpus(data), load_tokenizer(str(data / "vocab.txt"))
    window = corpus.draw(0, 384, PLAIN, np.random.default_rng(0))
    question = split_pieces(tokenizer, "what colour is the sky")
    served = make_windows(tokenizer, question, corpus.passages[0].pieces, window_tokens=384, doc_stride=128)
    assert window.ids.tolist() == served.input_ids[0].tolist()
    assert collate([window]).token_type_ids[0].tolist() == served.token_type_ids.tolist()
    assert tokenizer.id_to_token(window.ids[window.start]) == "blue"


def test_a_crop_always_holds_the_answer(data):
    corpus = load_corpus(data)
    for seed in range(20):
        window = corpus.draw(seed % len(COLOURS), 14, PLAIN, np.random.default_rng(seed))
        answer = corpus.tokenizer.id_to_token(window.ids[window.start])
        assert len(window.ids) <= 14 and answer in COLOURS.values()
        assert window.start == window.end


def test_an_unanswerable_pair_points_at_cls_and_lacks_the_answer(data):
    corpus, forms = load_corpus(data), QuestionForms(unanswerable_share=1)
    for seed in range(10):
        window = corpus.draw(0, 384, forms, np.random.default_rng(seed))
        assert (window.start, window.end) == (0, 0)
        assert corpus.tokenizer.token_to_id("blue") not in window.ids


def test_the_loss_ignores_all_tokens_but_context_and_cls(data):
    batch = WindowBatches(load_corpus(data), QUICK).at(0)
    logits = torch.zeros(batch.input_ids.shape)
    with_noise = logits.masked_fill(~batch.candidates[:, None], 50.0)
    assert torch.equal(train.span_loss(logits, logits, batch), train.span_loss(with_noise, with_noise, batch))


def test_every_epoch_has_every_question_once():
    order = order_questions(7, 0, 14, seed=0)
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7))
    assert order_questions(7, 5, 4, seed=0) == order[5:9]


def test_rows_of_similar_length_share_a_batch(data):
    recipe = replace(QUICK, short_window_tokens=14, short_share_at_start=0.5, block_batches=4)
    batches = WindowBatches(load_corpus(data), recipe)
    lengths = sorted(batches.at(step).attention_mask.sum(2).flatten().tolist() for step in range(4))
    assert all(max(shorter) <= min(longer) for shorter, longer in zip(lengths, lengths[1:], strict=False))
    assert lengths[0] != lengths[-1]
